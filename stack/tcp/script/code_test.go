package script

import (
	"strings"
	"testing"
)

func run(t *testing.T, text string, vars map[string]float64) error {
	t.Helper()
	c, err := parseCode("test.pkt", token{text: text, line: 1})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	_, err = c.run(vars)
	return err
}

func TestAssertions(t *testing.T) {
	for text, holds := range map[string]bool{
		"assert 1 + 2 * 3 == 7":                           true,
		"assert (1 + 2) * 3 == 9":                         true,
		"assert 7 // 2 == 3 and 7 % 3 == 1 and 7 / 2 > 3": true,
		"assert -7 // 2 == -4 and -7 % 3 == 2":            true, // as Python rounds
		"assert 10 <= tcpi_rtt <= 20":                     true,
		"assert 10 <= tcpi_rtt < 15":                      false,
		"assert not tcpi_rtt == 3 or 1 == 2":              true,
		"assert 1 == 2 or 2 == 2":                         true,
		"assert 1 == 1 and 1 == 2":                        false,
		"assert 6 & 3 == 2":                               true, // & binds tighter, as in Python
		"assert (4 | 1) ^ 5 == 0 and ~0 == -1":            true,
		"assert 1 << 4 == 16 and 256 >> 4 == 16":          true,
		"assert 0x10 == 16 and .5 * 2 == 1":               true,
		"assert TCP_CA_Recovery == 3":                     true,
		"x = tcpi_rtt; x += 5; assert x == 20, x":         true,
		"assert (tcpi_rtt ==\n 15)":                       true,
		"assert tcpi_rtt == 15 # comment":                 true,
		"assert tcpi_rtt == 15; \\\n assert 0":            false,
		"print(tcpi_rtt, 'text'); assert 1":               true,
	} {
		if err := run(t, text, map[string]float64{"tcpi_rtt": 15}); (err == nil) != holds {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAssertionsSayWhy(t *testing.T) {
	for text, want := range map[string]string{
		"assert tcpi_rtt == 1, tcpi_rtt":             "does not hold: 15",
		"assert tcpi_rtt == 1, 'rtt=%d' % tcpi_rtt":  "does not hold: rtt=%d % 15",
		"assert tcpi_nothing == 1":                   "tcpi_nothing is not known",
		"assert 1 / (tcpi_rtt - 15)":                 "division by zero",
		"assert 1 << 100":                            "the shift is not in 0 … 62",
		"assert 'a' == 'a'":                          "only numbers are compared",
		"assert tcpi_rtt == 1, (tcpi_rtt, tcpi_rtt)": "(15, 15)",
	} {
		if err := run(t, text, map[string]float64{"tcpi_rtt": 15}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nsays    %v\nand not %s", text, err, want)
		}
	}
}

func TestTCPInfoLayout(t *testing.T) {
	// The offsets of Linux's struct.
	for name, offset := range map[string]int{"tcpi_rto": 8, "tcpi_rtt": 68, "tcpi_total_retrans": 100, "tcpi_pacing_rate": 104,
		"tcpi_segs_out": 136, "tcpi_delivery_rate": 160, "tcpi_delivered": 192, "tcpi_bytes_sent": 200, "tcpi_rehash": 236} {
		b, vars := make([]byte, tcpInfoSize), map[string]float64{}
		native.PutUint32(b[offset:], 77)
		if decodeTCPInfo(b, vars); vars[name] != 77 {
			t.Errorf("%s is not read at offset %d", name, offset)
		}
	}
	b := make([]byte, tcpInfoSize)
	native.PutUint32(b[96:], 77)
	short := map[string]float64{}
	decodeTCPInfo(b[:100], short)
	if _, ok := short["tcpi_total_retrans"]; ok || short["tcpi_rcv_space"] == 0 {
		t.Error("a short struct gives members beyond its end, or not those within")
	}
}
