package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Client asks a server.
type Client struct {
	conn net.Conn
	in   *bufio.Reader
}

// Dial connects to the program that runs under a file prefix: to one of this user's, or to root's if its control_group
// has this user. Its error says so if none does.
func Dial(prefix string) (*Client, error) {
	c, err := dial(Path(prefix), prefix)
	if os.Geteuid() == 0 || !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ECONNREFUSED) {
		return c, err
	}
	switch c, fromRoot := dial(filepath.Join(rootDir, prefix, socketName), prefix); {
	case fromRoot == nil:
		return c, nil
	case errors.Is(fromRoot, unix.EACCES):
		return nil, fromRoot
	}
	return nil, fmt.Errorf("%w, nor on root's %s", err, filepath.Join(rootDir, prefix, socketName))
}

func dial(path, prefix string) (*Client, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	c, err := net.Dial("unix", path)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ECONNREFUSED):
		return nil, fmt.Errorf("no program runs under file_prefix %s: nobody listens on %s: %w", prefix, path, errors.Unwrap(err))
	case errors.Is(err, unix.EACCES):
		return nil, fmt.Errorf("control socket %s: %w: become root, or a member of the group that [stack] control_group names", path, unix.EACCES)
	case err != nil:
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return &Client{conn: c, in: bufio.NewReader(c)}, nil
}

// Call asks for a command, passes its news to say, and waits for its end.
func (c *Client) Call(r Request, say func(line string)) (*Status, error) {
	if err := json.NewEncoder(c.conn).Encode(r); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Command, err)
	}
	for {
		line, err := c.in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && r.Command == CommandStop {
			return nil, nil // as it was asked to
		}
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: the program ended before it had answered", r.Command)
		}
		var reply Reply
		if err == nil {
			err = json.Unmarshal(line, &reply)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Command, err)
		}
		if reply.Line != "" && say != nil {
			say(reply.Line)
		}
		if !reply.End {
			continue
		}
		if reply.Error != "" {
			return reply.Status, fmt.Errorf("%s: %s", r.Command, reply.Error)
		}
		return reply.Status, nil
	}
}

// Close ends the connection, and with it a command on the way, as far as it can be left.
func (c *Client) Close() error { return c.conn.Close() }
