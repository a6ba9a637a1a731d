package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	server4 = "10.10.0.2"
	client4 = "10.10.0.1"
	warmup  = 200 * time.Millisecond // of load; wrk has none
)

// networked starts a row's server, loads it once over a link, and ends it.
func (b *bench) networked(r *row) (result, error) {
	switch r.system.link {
	case "veth":
		return b.overVeth(r)
	case "TAP":
		return b.overTAP(r)
	}
	return b.overVirtio(r)
}

// name is of a namespace or file prefix of this run.
func name(suffix string) string { return fmt.Sprintf("fst-bench-%d-%s", os.Getpid(), suffix) }

// overVeth joins two namespaces by a veth pair: the server is in one, wrk in the other.
func (b *bench) overVeth(r *row) (res result, err error) {
	server, client := name("s"), name("c")
	for _, ns := range []string{server, client} {
		if err := ip("netns", "add", ns); err != nil {
			return res, err
		}
		defer func() { err = errors.Join(err, ip("netns", "del", ns)) }()
	}
	for _, args := range []string{
		"-n " + server + " link add s0 type veth peer name c0 netns " + client,
		"-n " + server + " addr add " + server4 + "/24 dev s0",
		"-n " + client + " addr add " + client4 + "/24 dev c0",
		"-n " + server + " link set s0 up",
		"-n " + client + " link set c0 up",
	} {
		if err := ip(strings.Fields(args)...); err != nil {
			return res, err
		}
	}
	cmd := exec.Command("ip", "netns", "exec", server, "taskset", "-c", "0", filepath.Join(b.programs, r.load.program), "-on", "kernel")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	p, err := startProcess(cmd, 1)
	if err != nil {
		return res, err
	}
	res, err = b.ask(client, r)
	err = errors.Join(err, p.stop())
	res.Busy = p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
	return res, err
}

// overTAP has the stack make the TAP and the namespace of its kernel end, where wrk runs.
func (b *bench) overTAP(r *row) (res result, err error) {
	p, err := b.startOnStack(r, "devargs=net_tap0,iface=t0\nnetns="+name("t")+"\nkernel_addr="+client4+"/24\n")
	if err != nil {
		return res, err
	}
	res, err = b.ask(name("t"), r)
	err = errors.Join(err, p.stop())
	res.Busy = p.loopBusy()
	if n := r.system.workers; n > 1 {
		res.Crossed = p.crossed(n)
	}
	return res, err
}

// overVirtio starts load, which makes the vhost socket, and then the server, which connects to it.
func (b *bench) overVirtio(r *row) (res result, err error) {
	socket := filepath.Join(b.dir, "vhost.sock")
	args := []string{"-lcore", "1", "-memory", "96", "-from", client4, "-to", fmt.Sprintf("%s:%d", server4, r.load.port), "-mode", r.load.mode,
		"-conns", fmt.Sprint(r.conns), "-time", b.span.String(), "-warmup", warmup.String(), "-hold", "-device"}
	if n := r.system.workers; n > 1 {
		args = append(args, fmt.Sprintf("net_vhost0,iface=%s,queues=%d", socket, n), "-queues", fmt.Sprint(n))
	} else {
		args = append(args, "net_vhost0,iface="+socket)
	}
	load := exec.Command(filepath.Join(b.programs, "load"), append(args, r.args...)...)
	var out, says strings.Builder
	load.Stdout, load.Stderr = &out, &says
	begin, err := load.StdinPipe() // it waits for its end
	if err != nil {
		return res, err
	}
	if err := load.Start(); err != nil {
		return res, err
	}
	defer os.Remove(socket)
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		if time.Since(start) > 10*time.Second {
			load.Process.Kill()
			load.Wait()
			return res, fmt.Errorf("load made no socket: %s", says.String())
		}
	}
	p, err := b.startOnStack(r, "path="+socket+"\nqueue_size=1024\n")
	if err != nil {
		load.Process.Kill()
		load.Wait()
		return res, err
	}
	begin.Close()
	if err := load.Wait(); err != nil {
		return res, errors.Join(fmt.Errorf("load: %w: %s", err, strings.TrimSpace(says.String())), p.stop())
	}
	share := p.share()
	if res, err = parseLoad(out.String()); err != nil {
		return res, errors.Join(err, p.stop())
	}
	err = p.stop()
	if err != nil {
		return res, err
	}
	if n := r.system.workers; n > 1 {
		res.Crossed = p.crossed(n)
		return res, nil
	}
	// The loop was as busy while load warmed up, and others had the CPU as much in its busy turns as in the others.
	res.Busy = time.Duration(float64(p.loopBusy()) * float64(b.span) / float64(b.span+warmup) * share)
	if share < .9 {
		res.Errors += fmt.Sprintf(" (others had the server's CPU for %.0f %% of the time)", 100*(1-share))
	}
	return res, nil
}

// startOnStack starts a program on this stack, over the device of a [vdev0] section.
func (b *bench) startOnStack(r *row, vdev string) (*process, error) {
	dpdk, idle, workers := "lcore_mask=1\n", "adaptive", 1
	switch {
	case r.system.workers > 1: // all on one CPU: load has the other
		workers = r.system.workers
		dpdk = fmt.Sprintf("lcore_mask=%x\nlcores=(0-%d)@0\nno_huge=0\nmemory=%d\n", 1<<workers-1, workers-1, workersMB)
		if r.system.link == "virtio" {
			vdev += fmt.Sprintf("queues=%d\n", workers)
		}
	case r.system.link == "virtio":
		idle = "poll"
	}
	text := fmt.Sprintf("[dpdk]\n%sfile_prefix=%s\nnb_vdev=1\n[stack]\ntcp=%s\nidle=%s\nlog_level=debug\n[port0]\naddr=%s\nnetmask=255.255.255.0\n[vdev0]\n%s",
		dpdk, name("p"), r.system.tcp, idle, server4, vdev)
	path := filepath.Join(b.dir, "config.ini")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return startProcess(exec.Command(filepath.Join(b.programs, r.load.program), "-c", path), workers)
}

// ask loads a server from a namespace, on the second CPU.
func (b *bench) ask(netns string, r *row) (result, error) {
	args := []string{"netns", "exec", netns, "taskset", "-c", "1"}
	to := fmt.Sprintf("%s:%d", server4, r.load.port)
	stream := r.load.mode == "sink" || r.load.mode == "source"
	if stream {
		args = append(args, filepath.Join(b.programs, "bulk"), "-to", to, "-mode", r.load.mode, "-time", b.span.String())
	} else {
		args = append(args, "wrk", "--latency", "-t1", fmt.Sprintf("-c%d", r.conns), fmt.Sprintf("-d%ds", int(b.span.Seconds())))
		if r.load.mode == "connect" {
			args = append(args, "-H", "Connection: close")
		}
		args = append(args, "http://"+to+"/")
	}
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return result{}, fmt.Errorf("%w: %s", err, out)
	}
	if stream {
		res, err := parseBulk(string(out))
		res.Errors, res.Span = "", b.span+b.span/10 // with the warm-up; it may wait
		return res, err
	}
	return parseWrk(string(out))
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
