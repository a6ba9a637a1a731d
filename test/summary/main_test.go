package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	const in = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:7: all well\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:9: needs /dev/net/tun\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}
`
	var out strings.Builder
	failed, _, err := summarise(strings.NewReader(in), &out)
	if want := "ok  \tp\t0.1s\n\n1 tests were skipped:\n  p TestB: needs /dev/net/tun\n"; failed || err != nil || out.String() != want {
		t.Errorf("%v, %v:\n%s\nwant\n%s", failed, err, out.String(), want)
	}

	out.Reset()
	failed, _, err = summarise(strings.NewReader(`go: some words
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:7: got 1\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
`), &out)
	if want := "go: some words\n    a_test.go:7: got 1\nFAIL\tp\t0.1s\n"; !failed || err != nil || out.String() != want {
		t.Errorf("%v, %v:\n%s\nwant\n%s", failed, err, out.String(), want)
	}

	var many strings.Builder
	for i := range 6 {
		fmt.Fprintf(&many, `{"Action":"output","Package":"p","Test":"TestX/%[1]d","Output":"    x_test.go:1: differs\n"}`+"\n"+`{"Action":"skip","Package":"p","Test":"TestX/%[1]d"}`+"\n", i)
	}
	_, skips, _ := summarise(strings.NewReader(many.String()), io.Discard)
	if want := "  p TestX/0: differs\n  p TestX: and 5 more below it\n"; strings.Join(skips, "") != want {
		t.Errorf("%q, want %q", skips, want)
	}
	if failed, _, _ := summarise(strings.NewReader(`{"Action":"build-fail","ImportPath":"p"}`), &out); !failed {
		t.Error("a failed build passes")
	}
}
