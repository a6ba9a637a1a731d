package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestFetch(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusNotFound)
		}
		io.WriteString(w, "body of "+r.URL.Path)
	}))
	defer s.Close()
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		name, url, body string
		ctx             context.Context
		ok              bool
	}{
		{"found", s.URL + "/", "body of /", context.Background(), true},
		{"not found", s.URL + "/none", "body of /none", context.Background(), false},
		{"no URL", "://", "", context.Background(), false},
		{"nobody there", "http://127.0.0.1:1/", "", context.Background(), false},
		{"ended", s.URL + "/", "", canceled, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w bytes.Buffer
			err := fetch(c.ctx, s.Client(), c.url, &w)
			if (err == nil) != c.ok || w.String() != c.body {
				t.Errorf("got %q, %v", w.String(), err)
			}
		})
	}
}
