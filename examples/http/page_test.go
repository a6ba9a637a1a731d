package main

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// The page is whole also when no stack runs: its template names only what is there.
func TestPage(t *testing.T) {
	for path, end := range map[string]string{"/": "</html>", "/live": "</main>"} {
		w := httptest.NewRecorder()
		pages().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if body := w.Body.String(); w.Code != 200 || !strings.HasSuffix(strings.TrimSpace(body), end) || !strings.Contains(body, "<th>you</th>") {
			t.Errorf("GET %s: %d\n%s", path, w.Code, body)
		}
	}
	w := httptest.NewRecorder()
	pages().ServeHTTP(w, httptest.NewRequest("GET", "/other", nil))
	if w.Code != 404 {
		t.Errorf("GET /other: %d, want 404", w.Code)
	}
}
