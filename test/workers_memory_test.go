//go:build !nodpdk

package test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// TestTooFewForPools starts eight workers where EAL finds memory, but not enough for the pools of all.
func TestTooFewForPools(t *testing.T) {
	needsHuge(t, 200)
	for _, mb := range []int{24, 40, 64} {
		t.Run(fmt.Sprint(mb, " MB"), func(t *testing.T) {
			p := prepare(t, "http", "no_huge=0", "lcore_mask=ff\nlcores=0@0,1@1,2@0,3@1,4@0,5@1,6@0,7@1\neal_args=--huge-dir=/mnt")
			p.cmd = exec.Command("unshare", "--mount", "sh", "-c",
				fmt.Sprintf(`mount -t hugetlbfs -o pagesize=2M,size=%dM none /mnt && exec "$0" "$@"`, mb), p.cmd.Path, "-c", p.cmd.Args[2])
			said := p.fails(t)
			for _, want := range []string{"[port0]", " mbufs of ", " MB: reserve some with `dpdk-hugepages.py --setup"} {
				if !strings.Contains(said, want) {
					t.Errorf("no %q in what the program says:\n%s", want, said)
				}
			}
		})
	}
}
