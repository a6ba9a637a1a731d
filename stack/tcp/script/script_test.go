package script_test

import (
	"path/filepath"
	"testing"

	"github.com/fstack-go/fstack/stack/tcp/script"
)

func files(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("testdata/*.pkt")
	if err != nil || len(list) == 0 {
		t.Fatalf("no scripts in testdata: %v", err)
	}
	return list
}

// Each rule of the protocol has its case, with the RFC's section in its name.
func TestTCP(t *testing.T) {
	for _, f := range files(t) {
		t.Run(filepath.Base(f), func(t *testing.T) { script.RunAs(t, "fstack", f, fstackTCP) })
	}
}

// gVisor's TCP is the reference that the scripts and their player are checked with.
func TestGVisor(t *testing.T) {
	for _, f := range files(t) {
		t.Run(filepath.Base(f), func(t *testing.T) { script.RunAs(t, "gvisor", f, gvisor) })
	}
}
