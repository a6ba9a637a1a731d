package fstack

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/fstack-go/fstack/config"
	"github.com/fstack-go/fstack/internal/supervise"
)

//go:embed config.ini
var defaultConfig []byte

var configFile string

// Flags adds the flags of Run to a flag set: -c and --config, the name of the config file. A program with flags of its
// own calls it before flag.Parse; for one without, Run does both.
func Flags(set *flag.FlagSet) {
	const usage = "name of the config `file` (default $FSTACK_CONFIG, else ./config.ini, else a built-in one)"
	set.StringVar(&configFile, "c", "", usage)
	set.StringVar(&configFile, "config", "", usage)
}

// parseFlags parses the command line unless the program has done so.
func parseFlags() {
	if flag.Parsed() {
		return
	}
	if flag.Lookup("c") == nil && flag.Lookup("config") == nil {
		Flags(flag.CommandLine)
	}
	flag.Parse()
}

// inherited is what this process has from its supervisor, nil: it is no worker.
var inherited = sync.OnceValues(supervise.Inherited)

// findConfig reads the config file that Run says; a worker has its supervisor's.
func findConfig() (*config.Config, error) {
	parseFlags()
	part, err := inherited()
	if err != nil {
		return nil, fmt.Errorf("fstack.Run: %w", err)
	}
	if part != nil {
		return config.Parse(part.Name, part.Config)
	}
	name, text, err := configText()
	if err != nil {
		return nil, err
	}
	return config.Parse(name, text)
}

// configText is the text of the config file that Run says.
func configText() (name string, text []byte, err error) {
	for _, path := range []string{configFile, os.Getenv("FSTACK_CONFIG")} {
		if path != "" {
			text, err = config.Read(path)
			return path, text, err
		}
	}
	text, err = config.Read("config.ini")
	if errors.Is(err, fs.ErrNotExist) {
		return "(built-in) config.ini", defaultConfig, nil
	}
	return "config.ini", text, err
}
