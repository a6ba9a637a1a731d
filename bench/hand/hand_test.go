//go:build !nodpdk

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/fstack-go/fstack/internal/hugepages"
)

const asProgram = "FSTACK_HAND" // set: the test binary is the program, since EAL starts once in a process

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestHand(t *testing.T) {
	back, err := hugepages.Reserve(64)
	if err != nil {
		t.Skip(err)
	}
	defer back()
	for _, args := range [][]string{{"-time", "20ms"}, {"-time", "20ms", "-two"}} {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		var s says
		if err == nil {
			err = json.Unmarshal(out, &s)
		}
		if err != nil || s.Packets == 0 {
			t.Errorf("%v: %v, %s%s", args, err, out, &errs)
		}
		t.Logf("%v: %s", args, out)
	}
}
