//go:build nodpdk

package dpdk

import (
	"errors"
	"strings"
	"testing"
)

// TestWithoutDPDK: everything that needs DPDK says that it is not there.
func TestWithoutDPDK(t *testing.T) {
	var p *Port
	var q *QueuePair
	for name, call := range map[string]func() error{
		"Init":       func() error { return Init(Config{}) },
		"AddVdev":    func() error { _, err := AddVdev("net_null0", "", nil); return err },
		"RemoveVdev": func() error { return RemoveVdev("net_null0") },
		"OpenPort":   func() error { _, err := OpenPort(PortConfig{}); return err },
		"QueuePair":  func() error { _, err := p.QueuePair(0); return err },
		"LinkStatus": func() error { _, err := p.LinkStatus(); return err },
		"Stats":      func() error { _, err := p.Stats(); return err },
		"XStats":     func() error { _, err := p.XStats(); return err },
		"ArmRx":      func() error { return q.ArmRx(true) },
	} {
		if err := call(); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "tag nodpdk") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Cleanup(); err != nil || Ports() != nil || Version() != "none" {
		t.Errorf("Cleanup: %v, ports %v, version %q", err, Ports(), Version())
	}
}
