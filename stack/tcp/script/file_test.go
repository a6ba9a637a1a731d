package script_test

import (
	"os"
	"testing"

	"github.com/fstack-go/fstack/stack/tcp/script"
)

// TestFile plays the script that PKT names, for work on a new one; PKT_TCP=netstack takes gVisor's TCP.
func TestFile(t *testing.T) {
	file := os.Getenv("PKT")
	if file == "" {
		t.Skip("needs PKT, the name of a script")
	}
	factory := fstackTCP
	if os.Getenv("PKT_TCP") == "netstack" {
		factory = gvisor
	}
	script.Run(t, file, factory)
}
