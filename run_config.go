package fstack

import (
	_ "embed"
	"errors"
	"flag"
	"io/fs"
	"os"

	"github.com/fstack-go/fstack/config"
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

// findConfig reads the config file that Run says.
func findConfig() (*config.Config, error) {
	if !flag.Parsed() {
		if flag.Lookup("c") == nil && flag.Lookup("config") == nil {
			Flags(flag.CommandLine)
		}
		flag.Parse()
	}
	for _, path := range []string{configFile, os.Getenv("FSTACK_CONFIG")} {
		if path != "" {
			return config.Load(path)
		}
	}
	cfg, err := config.Load("config.ini")
	if errors.Is(err, fs.ErrNotExist) {
		return config.Parse("(built-in) config.ini", defaultConfig)
	}
	return cfg, err
}
