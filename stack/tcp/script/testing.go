package script

import (
	"os"
	"testing"

	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

// Run plays the script in file against stacks of the factory, as a subtest for each IP version that it is for.
func Run(t *testing.T, file string, factory lab.Factory) {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(file, src)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range s.versions() {
		t.Run(version, func(t *testing.T) {
			if err := s.Run(factory, version == "ipv6"); err != nil {
				t.Error(err)
			}
		})
	}
}
