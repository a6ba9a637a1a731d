package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

const (
	requestMax  = 64 << 10         // bytes of a request
	clientsMax  = 32               // connections at a time
	writeWithin = 10 * time.Second // a client that does not read is left
)

// Handler does what a request asks for. It calls say with news meanwhile. ctx ends when the client went away or the
// server is closed.
type Handler func(ctx context.Context, r Request, say func(line string)) (*Status, error)

// Server answers on a socket.
type Server struct {
	listener *net.UnixListener
	handler  Handler
	end      context.CancelFunc
	ctx      context.Context
	serving  sync.WaitGroup
	clients  chan struct{}
}

// Listen opens the socket at path, in a directory that is there, and serves it. A file that is in the way is removed:
// the caller knows that no living program owns it.
func Listen(path string, h Handler) (*Server, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	s := &Server{listener: l, handler: h, clients: make(chan struct{}, clientsMax)}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.serving.Go(s.accept)
	return s, nil
}

// listen makes the socket under another name, so that nobody finds it before it has its mode.
func listen(path string) (*net.UnixListener, error) {
	if len(path)+len(".new") > pathMax {
		return nil, checkPath(path + ".new")
	}
	fresh := path + ".new"
	os.Remove(fresh)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err = os.Chmod(fresh, 0o660); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		os.Remove(fresh)
		l.Close()
		return nil, err
	}
	return l, nil
}

// Close ends the server: connections too, and commands on the way by their context. The socket's file stays for the
// caller to remove with its directory.
func (s *Server) Close() error {
	s.end()
	err := s.listener.Close()
	s.serving.Wait()
	return err
}

func (s *Server) accept() {
	for {
		c, err := s.listener.AcceptUnix()
		switch {
		case s.ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return
		case err != nil: // too many open files, for example
			select {
			case <-s.ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		default:
			select {
			case s.clients <- struct{}{}:
				s.serving.Go(func() {
					s.serve(c)
					<-s.clients
				})
			default:
				c.SetWriteDeadline(time.Now().Add(time.Second))
				json.NewEncoder(c).Encode(Reply{End: true, Error: fmt.Sprintf("%d clients are connected already", clientsMax)})
				c.Close()
			}
		}
	}
}

// serve answers the requests of one connection. Reading goes on while a command runs, to see the client leave.
func (s *Server) serve(c *net.UnixConn) {
	ctx, end := context.WithCancel(s.ctx)
	defer end()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	defer c.Close()
	lines := make(chan string)
	go func() {
		defer end()
		defer close(lines)
		in := bufio.NewScanner(c)
		in.Buffer(make([]byte, 0, 4096), requestMax)
		for in.Scan() {
			select {
			case lines <- in.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for line := range lines {
		if !s.answer(ctx, c, line) {
			return
		}
	}
}

func (s *Server) answer(ctx context.Context, c *net.UnixConn, line string) (more bool) {
	var mu sync.Mutex
	out, ended := json.NewEncoder(c), false
	put := func(r Reply) {
		mu.Lock()
		defer mu.Unlock()
		if ended {
			return
		}
		ended = r.End
		c.SetWriteDeadline(time.Now().Add(writeWithin))
		if out.Encode(r) != nil {
			ended = true
		}
	}
	var r Request
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		put(Reply{End: true, Error: fmt.Sprintf("a request must be a line of JSON, as {\"command\":\"status\"}: %v", err)})
		return false
	}
	status, err := s.handler(ctx, r, func(line string) { put(Reply{Line: line}) })
	if ctx.Err() != nil { // nobody to tell, or the server is closed: what has come of it is not known
		return false
	}
	reply := Reply{End: true, Status: status}
	if err != nil {
		reply.Error = err.Error()
	}
	put(reply)
	return ctx.Err() == nil
}
