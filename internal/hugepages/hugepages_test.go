package hugepages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fake is a directory like the kernel's, in which no page can be had but those that are free.
func fake(t *testing.T, total, free, promised string) {
	t.Helper()
	before := dir
	t.Cleanup(func() { dir = before })
	dir = t.TempDir()
	for name, n := range map[string]string{"nr_hugepages": total, "free_hugepages": free, "resv_hugepages": promised} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(n+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEnoughAreFree(t *testing.T) {
	fake(t, "40", "33", "1")
	if mb := Free(); mb != 64 {
		t.Errorf("%d MB are free, want 64", mb)
	}
	back, err := Reserve(64)
	if err != nil {
		t.Fatal(err)
	}
	back()
	if n := read("nr_hugepages"); n != 40 {
		t.Errorf("%d pages are left, want 40", n)
	}
}

func TestTooFew(t *testing.T) {
	fake(t, "40", "10", "0")
	if _, err := Reserve(64); err == nil || !strings.Contains(err.Error(), "64 MB") || !strings.Contains(err.Error(), "only 20 MB") {
		t.Error(err)
	}
	dir = filepath.Join(dir, "none")
	if _, err := Reserve(2); err == nil {
		t.Error("hugepages of a machine that has none")
	}
}
