package script

import (
	"errors"
	"os"
	"testing"

	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

// Run plays the script in file against stacks of the factory, as a subtest for each IP version that it is for. It is skipped if the
// stack has not got a setting that the script changes.
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
			err := s.Run(factory, version == "ipv6")
			if errors.Is(err, lab.ErrNoSysctl) {
				t.Skip(err)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}
