// Command summary reads the output of go test -json and prints what matters: the closing line of each package, all that
// a failed test said, and at the end which tests were skipped and why. It fails if a test failed. With a file's name, it
// also writes there what was skipped.
//
//	go test -json ./... | summary [file]
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is what go test -json prints: see go doc test2json.
type event struct {
	Action, Package, Test, Output, ImportPath string
}

// few is how many skipped tests below one are listed by name.
const few = 4

type name struct{ pkg, test string }

func main() {
	failed, skips, err := summarise(os.Stdin, os.Stdout)
	if err == nil && len(os.Args) > 1 {
		err = os.WriteFile(os.Args[1], []byte(strings.Join(skips, "")), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

func summarise(in io.Reader, out io.Writer) (failed bool, skips []string, err error) {
	said := map[name][]string{}
	skipped := map[name][]string{} // by test, without what is below it
	var order []name
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil { // what the go command itself says
			fmt.Fprintln(out, lines.Text())
			continue
		}
		n := name{e.Package, e.Test}
		switch e.Action {
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "build-fail":
			failed = true
		case "output":
			if e.Test == "" && (strings.HasPrefix(e.Output, "ok ") || strings.HasPrefix(e.Output, "FAIL\t") || strings.HasPrefix(e.Output, "---")) {
				fmt.Fprint(out, e.Output)
			} else {
				said[n] = append(said[n], e.Output)
			}
		case "fail":
			failed = true
			fmt.Fprint(out, strings.Join(said[n], ""))
			delete(said, n)
		case "skip":
			if e.Test != "" {
				top, _, _ := strings.Cut(e.Test, "/")
				at := name{e.Package, top}
				if skipped[at] == nil {
					order = append(order, at)
				}
				skipped[at] = append(skipped[at], fmt.Sprintf("  %s %s: %s\n", e.Package, e.Test, reason(said[n])))
			}
			delete(said, n)
		case "pass":
			delete(said, n)
		}
	}
	if err := lines.Err(); err != nil {
		return true, nil, err
	}
	all := 0
	for _, at := range order {
		each := skipped[at]
		all += len(each)
		if len(each) > few {
			skips = append(skips, each[0], fmt.Sprintf("  %s %s: and %d more below it\n", at.pkg, at.test, len(each)-1))
		} else {
			skips = append(skips, each...)
		}
	}
	if all > 0 {
		fmt.Fprintf(out, "\n%d tests were skipped:\n%s", all, strings.Join(skips, ""))
	}
	return failed, skips, nil
}

// reason is what a skipped test said, without go test's own lines.
func reason(said []string) string {
	var words []string
	for _, l := range said {
		l = strings.TrimSpace(l)
		if strings.HasPrefix(l, "===") || strings.HasPrefix(l, "---") {
			continue
		}
		if _, after, ok := strings.Cut(l, ".go:"); ok {
			_, l, _ = strings.Cut(after, ": ")
		}
		words = append(words, l)
	}
	return strings.Join(words, " ")
}
