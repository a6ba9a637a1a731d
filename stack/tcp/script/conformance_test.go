package script_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What docs/conformance.md says of the cases for RFC 9293 is there.
func TestConformanceNamesItsCases(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests string
	files, _ := filepath.Glob("../*_test.go")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		tests += string(b)
	}
	rows := 0
	quoted := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(doc)) {
		if !strings.HasPrefix(line, "| MUST-") {
			continue
		}
		rows++
		for _, m := range quoted.FindAllStringSubmatch(line, -1) {
			name := m[1]
			switch {
			case strings.HasPrefix(name, "Test"):
				if !strings.Contains(tests, "func "+name+"(") {
					t.Errorf("there is no test %s", name)
				}
			case strings.HasSuffix(name, ".go"):
				if _, err := os.Stat("../" + name); err != nil {
					t.Error(err)
				}
			default:
				if !strings.HasPrefix(name, "rfc") {
					name = "rfc9293-" + name
				}
				if found, _ := filepath.Glob("testdata/" + name + ".pkt"); len(found) == 0 {
					t.Errorf("there is no script %s", name)
				}
			}
		}
	}
	if rows < 20 {
		t.Errorf("the table of RFC 9293 has %d rows", rows)
	}
}
