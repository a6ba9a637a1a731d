package control

import (
	"fmt"
	"os"
	"path/filepath"
)

// Dir is where the programs that run under a file prefix keep their socket and locks: fstack/PREFIX in the directory
// that DPDK keeps its own files in, which is /var/run for root, else $XDG_RUNTIME_DIR or /tmp; systemd's
// $RUNTIME_DIRECTORY goes before.
func Dir(prefix string) string {
	dir := "/tmp"
	if os.Geteuid() == 0 {
		dir = "/var/run"
	} else if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
		dir = d
	}
	if d := os.Getenv("RUNTIME_DIRECTORY"); d != "" {
		dir = d
	}
	return filepath.Join(dir, "fstack", prefix)
}

// Path is the socket of the program that runs under a file prefix.
func Path(prefix string) string { return filepath.Join(Dir(prefix), socketName) }

const (
	socketName = "control.sock"
	rootDir    = "/var/run/fstack" // Dir's parent for root
)

// pathMax is what fits into the kernel's struct sockaddr_un.
const pathMax = 107

func checkPath(path string) error {
	if len(path) > pathMax {
		return fmt.Errorf("control socket %s: the path has %d bytes, at most %d fit; choose a shorter file_prefix or $RUNTIME_DIRECTORY", path, len(path), pathMax)
	}
	return nil
}
