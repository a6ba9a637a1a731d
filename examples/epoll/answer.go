package main

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const page = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>epoll over fstack</title>
</head>
<body>
<h1>It works.</h1>
<p>This page came out of a TCP/IP stack in user space. An event loop written for epoll asked it for what is
ready, read your request and wrote this answer, all between two bursts of packets: no system call, no
interrupt, no copy by a kernel, and no goroutine was switched. Over the kernel's
own sockets it would be the same program, but for one import.</p>
</body>
</html>
`

// answer is the bytes of one.
type answer struct {
	all    []byte
	header int // how many of them are header
}

// answers are all that the server gives. Their date is made anew when the second changes.
type answers struct {
	second int64
	open   answer // the page
	closed answer // the page, and the connection is closed
	errors map[int]answer
}

func (a *answers) refresh(now time.Time) {
	if now.Unix() == a.second {
		return
	}
	a.second = now.Unix()
	date := now.UTC().Format(http.TimeFormat)
	a.open = makeAnswer(200, date, "text/html; charset=utf-8", "", page)
	a.closed = makeAnswer(200, date, "text/html; charset=utf-8", "Connection: close\r\n", page)
	a.errors = make(map[int]answer)
	for _, status := range []int{400, 405, 431, 501, 505} {
		more := "Connection: close\r\n"
		if status == 405 {
			more += "Allow: GET, HEAD\r\n"
		}
		text := fmt.Sprintf("%d %s\n", status, http.StatusText(status))
		a.errors[status] = makeAnswer(status, date, "text/plain; charset=utf-8", more, text)
	}
}

func makeAnswer(status int, date, contentType, more, content string) answer {
	header := fmt.Sprintf("HTTP/1.1 %d %s\r\nServer: fstack\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n",
		status, http.StatusText(status), date, contentType, len(content), more)
	return answer{[]byte(header + content), len(header)}
}

// of is the answer to r.
func (a *answers) of(r request) []byte {
	ans := &a.open
	if r.status != 200 {
		e := a.errors[r.status]
		ans = &e
	} else if r.close {
		ans = &a.closed
	}
	if r.head {
		return ans.all[:ans.header]
	}
	return ans.all
}

// second is the time of day. A goroutine moves it on, since reading the clock in each turn takes as long as parsing a
// request.
var second atomic.Int64

// keepTime has second kept from now on.
var keepTime = sync.OnceFunc(func() {
	second.Store(time.Now().Unix())
	go func() {
		for now := range time.Tick(time.Second / 10) {
			second.Store(now.Unix())
		}
	}()
})
