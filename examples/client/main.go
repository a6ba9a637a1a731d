// Command client fetches a URL, with its name looked up and its connections made on the stack, and writes the body to
// standard output.
//
//	client [-c config.ini] http://192.168.1.1:8000/
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/fstack-go/fstack"
)

func main() {
	log.SetFlags(0)
	fstack.Flags(flag.CommandLine)
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: client [-c config.ini] URL")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	err := fstack.Run(func() error {
		client := &http.Client{Transport: &http.Transport{DialContext: fstack.DialContext}}
		return fetch(fstack.Context(), client, flag.Arg(0), os.Stdout)
	})
	if err != nil {
		log.Fatal(err)
	}
}

// fetch writes the body of the answer to w. An answer other than 200 is an error after that.
func fetch(ctx context.Context, client *http.Client, url string, w io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(w, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return nil
}
