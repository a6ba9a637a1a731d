// Package hugepages reserves hugepages of 2 MB for tests and benchmarks, and gives them back.
package hugepages

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// dir is the kernel's, described in Documentation/admin-guide/mm/hugetlbpage.rst.
var dir = "/sys/kernel/mm/hugepages/hugepages-2048kB"

// Free is how many megabytes of hugepages nobody uses or has a promise of.
func Free() (mb int) { return 2 * max(0, read("free_hugepages")-read("resv_hugepages")) }

// Reserve has that many megabytes free: it reserves what is missing, which needs root, and returns how to give that back.
func Reserve(mb int) (back func(), err error) {
	missing := (mb - Free() + 1) / 2
	if missing <= 0 {
		return func() {}, nil
	}
	before := read("nr_hugepages")
	err = set(before + missing)
	added := read("nr_hugepages") - before
	back = func() { set(max(0, read("nr_hugepages")-added)) }
	switch {
	case err != nil:
	case Free() < mb:
		err = fmt.Errorf("only %d MB could be had", Free())
	default:
		return back, nil
	}
	back()
	return nil, fmt.Errorf("needs %d MB of free hugepages (dpdk-hugepages.py --setup %dM): %w", mb, mb, err)
}

func read(name string) int {
	b, _ := os.ReadFile(filepath.Join(dir, name)) // 0 where the machine has none
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}

func set(n int) error {
	return os.WriteFile(filepath.Join(dir, "nr_hugepages"), []byte(strconv.Itoa(n)), 0o644)
}
