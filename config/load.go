package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// Load reads the config file at path. Its error joins one Error for each wrong place.
func Load(path string) (*Config, error) {
	in, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("config: %w; name an existing file after -c", err)
	}
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, fileMax+1))
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return Parse(path, text)
}

// Parse reads the text of a config file; name is for messages.
func Parse(name string, text []byte) (*Config, error) {
	f, err := read(name, text)
	if err != nil {
		return nil, err
	}
	c := &Config{File: name, Text: text}
	f.stackSection(c)
	f.portSections(c)
	f.vdevSections(c)
	f.bondSections(c)
	f.otherSections(c)
	if err := f.err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(f.warnings, func(a, b Warning) int { return cmp.Compare(a.Line, b.Line) })
	c.Warnings, c.values = f.warnings, f.values
	return c, nil
}
