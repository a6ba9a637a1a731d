package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Load reads the config file at path. Its error joins one Error for each wrong place.
func Load(path string) (*Config, error) {
	text, err := Read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// Read reads the text of the config file at path.
func Read(path string) ([]byte, error) {
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
	return text, nil
}

// FilePrefix is the file_prefix of a config file's text, also if there are mistakes elsewhere in it.
func FilePrefix(name string, text []byte) (string, error) {
	prefix := defaultPrefix
	if c, err := Parse(name, text); err == nil {
		return c.DPDK.FilePrefix, nil
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(stripComment(line), "="); ok && strings.EqualFold(strings.TrimSpace(key), "file_prefix") {
			if err := word(func(s *string) *string { return s }, 64)(&prefix, strings.TrimSpace(value)); err != nil {
				return "", fmt.Errorf("%s: file_prefix %w", name, err)
			}
		}
	}
	return prefix, nil
}

const defaultPrefix = "fstack"

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
