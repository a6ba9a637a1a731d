package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// The plug-in is loaded by a C program as packetdrill loads it.
func TestPluginInACProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a library: not with -short")
	}
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("needs cc")
	}
	dir := t.TempDir()
	so, program := filepath.Join(dir, "plugin.so"), filepath.Join(dir, "harness")
	for _, args := range [][]string{
		{"go", "build", "-tags", "nodpdk", "-buildmode=c-shared", "-o", so, "."},
		{"cc", "-Wall", "-Werror", "-o", program, "testdata/harness.c", "-ldl", "-lpthread"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	if out, err := exec.Command(program, so).CombinedOutput(); err != nil || string(out) != "ok\n" {
		t.Errorf("%v\n%s", err, out)
	}
}
