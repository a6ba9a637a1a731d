package script

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/fstack-go/fstack/stack/tcp/script/lab"
)

// Run plays the script in file against stacks of the factory, as a subtest for each IP version that it is for. It is
// skipped if the stack has not got a setting that the script changes.
func Run(t *testing.T, file string, factory lab.Factory) {
	t.Helper()
	RunAs(t, "", file, factory)
}

// RunAs is Run for a stack with a name. A script may say in a comment that this stack differs, and why:
//
//	// gvisor: differs: it has no urgent data
//
// It is then skipped if it fails; a note that no longer holds is logged.
func RunAs(t *testing.T, name, file string, factory lab.Factory) {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(file, src)
	if err != nil {
		t.Fatal(err)
	}
	why := reason(string(src), name)
	for _, version := range s.versions() {
		t.Run(version, func(t *testing.T) {
			err := s.Run(factory, version == "ipv6")
			switch {
			case errors.Is(err, lab.ErrNoSysctl):
				t.Skip(err)
			case err != nil && why != "":
				t.Skipf("differs: %s\n%v", why, err)
			case err != nil:
				t.Error(err)
			case why != "":
				t.Logf("%s: passes, though it says that %s differs: %s", file, name, why)
			}
		})
	}
}

// reason is why a script says that the stack of that name differs, "" if it does not.
func reason(src, name string) string {
	for line := range strings.Lines(src) {
		if why, ok := strings.CutPrefix(line, "// "+name+": differs: "); ok && name != "" {
			return strings.TrimSpace(why)
		}
	}
	return ""
}
