//go:build !nodpdk

package nic

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// wanted are the modules that the guest needs; those that they need come with them.
var wanted = []string{"virtio_pci", "9pnet_virtio", "9p", "vfio_iommu_type1", "vfio-pci"}

// modules are the paths of the wanted modules in a kernel's tree, each behind those that it needs. What is built into
// the kernel has none.
func modules(t *testing.T, tree string) (order []string) {
	t.Helper()
	paths := map[string]string{}
	name := func(s string) string { return strings.ReplaceAll(s, "-", "_") }
	filepath.Walk(tree, func(path string, _ os.FileInfo, _ error) error {
		if m, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok {
			paths[name(m)] = path
		}
		return nil
	})
	seen := map[string]bool{}
	var add func(m string)
	add = func(m string) {
		path, ok := paths[name(m)]
		if seen[name(m)] || !ok {
			return
		}
		seen[name(m)] = true
		f, err := elf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Section(".modinfo").Data()
		if err != nil {
			t.Fatal(err)
		}
		for field := range strings.SplitSeq(string(info), "\x00") {
			if needs, ok := strings.CutPrefix(field, "depends="); ok {
				for d := range strings.SplitSeq(needs, ",") {
					add(d)
				}
			}
		}
		order = append(order, path)
	}
	for _, m := range wanted {
		add(m)
	}
	return order
}

// findKernel returns Debian's kernel and its modules: unpacked from its package, which apt fetches once.
func findKernel(t *testing.T) (image, tree string) {
	t.Helper()
	cache, err := filepath.Abs("../../bin/nic")
	if err != nil {
		t.Fatal(err)
	}
	look := func() bool {
		found, _ := filepath.Glob(cache + "/boot/vmlinuz-*")
		if len(found) == 0 {
			return false
		}
		image = found[0]
		tree = cache + "/lib/modules/" + strings.TrimPrefix(filepath.Base(image), "vmlinuz-")
		return true
	}
	if look() {
		return image, tree
	}
	for _, p := range []string{"apt-get", "dpkg-deb", "apt-cache"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s, to fetch Debian's kernel", p)
		}
	}
	depends, err := exec.Command("apt-cache", "depends", "linux-image-amd64").Output()
	if err != nil {
		t.Skip("needs Debian's package linux-image-amd64: apt-cache knows none")
	}
	var name string
	for _, f := range strings.Fields(string(depends)) {
		if strings.HasPrefix(f, "linux-image-") && f != "linux-image-amd64" {
			name = f
		}
	}
	dir := t.TempDir()
	get := exec.Command("apt-get", "download", "-qq", name)
	get.Dir = dir
	if out, err := get.CombinedOutput(); err != nil {
		t.Skipf("needs Debian's kernel %s: apt-get download: %v\n%s", name, err, out)
	}
	debs, _ := filepath.Glob(dir + "/*.deb")
	if len(debs) != 1 {
		t.Fatalf("apt-get download %s left %v", name, debs)
	}
	if out, err := exec.Command("dpkg-deb", "-x", debs[0], dir+"/all").CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, out)
	}
	if err := os.MkdirAll(filepath.Dir(cache), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", dir+"/all", cache).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !look() {
		t.Fatalf("the package %s has no /boot/vmlinuz-*", name)
	}
	return image, tree
}

// archive writes an initial file system in the format that the kernel reads (cpio, "newc").
func archive(w io.Writer, files map[string][]byte) {
	entry := func(inode int, name string, mode int, b []byte) {
		fmt.Fprintf(w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", inode, mode, 0, 0, 1, 0, len(b), 0, 0, 0, 0, len(name)+1, 0)
		pad := func(n int) { w.Write(make([]byte, -n&3)) }
		io.WriteString(w, name+"\x00")
		pad(110 + len(name) + 1)
		w.Write(b)
		pad(len(b))
	}
	n := 1
	for _, d := range []string{"proc", "sys", "dev", "host", "modules"} {
		entry(n, d, 0o40755, nil)
		n++
	}
	for name, b := range files {
		entry(n, name, 0o100755, b)
		n++
	}
	entry(0, "TRAILER!!!", 0, nil)
}

// vm is a running virtual machine.
type vm struct {
	t       *testing.T
	qemu    *exec.Cmd
	line    net.Conn
	answers *bufio.Reader

	mu      sync.Mutex
	console bytes.Buffer
	wrote   chan struct{} // has something when the console has more
	ended   chan struct{} // closed when the machine has gone
}

// boot starts a machine whose card's queues are those of a TAP device in the namespace. share is a directory that the
// guest sees as /tmp/share.
func boot(t *testing.T, netns, tap, share string, queues int) *vm {
	t.Helper()
	image, tree := findKernel(t)
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir+"/init", "./guest")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	init, err := os.ReadFile(dir + "/init")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"init": init}
	for i, m := range modules(t, tree) {
		b, err := os.ReadFile(m)
		if err != nil {
			t.Fatal(err)
		}
		files[fmt.Sprintf("modules/%02d-%s", i, filepath.Base(m))] = b
	}
	var initrd bytes.Buffer
	archive(&initrd, files)
	if err := os.WriteFile(dir+"/initrd", initrd.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", dir+"/line")
	if err != nil {
		t.Fatal(err)
	}
	v := &vm{t: t, wrote: make(chan struct{}, 1), ended: make(chan struct{})}
	v.qemu = exec.Command("ip", "netns", "exec", netns, "qemu-system-x86_64",
		"-machine", "q35,accel=tcg,kernel-irqchip=split", "-cpu", "max", "-smp", "2", "-m", "1280", "-nodefaults",
		"-object", "memory-backend-ram,id=node0,size=640M", "-numa", "node,nodeid=0,cpus=0,memdev=node0", // a NUMA node for each CPU
		"-object", "memory-backend-ram,id=node1,size=640M", "-numa", "node,nodeid=1,cpus=1,memdev=node1",
		"-display", "none", "-no-reboot",
		"-kernel", image, "-initrd", dir+"/initrd",
		"-append", "console=ttyS0 quiet panic=-1 intel_iommu=on guest.hugepages=200",
		"-serial", "stdio", "-serial", "unix:"+dir+"/line",
		"-device", "intel-iommu,intremap=on",
		"-virtfs", "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
		"-virtfs", "local,path="+share+",mount_tag=share,security_model=none,readonly=on",
		"-netdev", fmt.Sprintf("tap,id=net,ifname=%s,queues=%d,script=no,downscript=no,vhost=off", tap, queues),
		"-device", "virtio-net-pci,netdev=net,mac=52:54:00:12:34:56,mq=on,rss=on,hash=on,vectors=8,disable-legacy=on,iommu_platform=on",
	)
	v.qemu.Stdout, v.qemu.Stderr = v, v
	if err := v.qemu.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		v.qemu.Wait()
		close(v.ended)
	}()
	t.Cleanup(v.stop)
	if v.line, err = socket.Accept(); err != nil {
		t.Fatal(err)
	}
	v.answers = bufio.NewReader(v.line)
	v.await("guest: ready", 3*time.Minute)
	return v
}

// Write takes what comes to the console.
func (v *vm) Write(b []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.console.Write(bytes.ReplaceAll(b, []byte("\r"), nil))
	select {
	case v.wrote <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (v *vm) log() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.console.String()
}

// await waits until the console has said what.
func (v *vm) await(what string, most time.Duration) { v.t.Helper(); v.awaitAfter(0, what, most) }

// awaitAfter is await for what is said after the first so many bytes.
func (v *vm) awaitAfter(from int, what string, most time.Duration) {
	v.t.Helper()
	late := time.After(most)
	for !strings.Contains(v.log()[from:], what) {
		select {
		case <-v.wrote:
		case <-v.ended:
			v.t.Fatalf("the guest ended before it said %q:\n%s", what, v.log())
		case <-late:
			v.t.Fatalf("the guest did not say %q within %v:\n%s", what, most, v.log())
		}
	}
}

// do has the guest do something.
func (v *vm) do(c Command) Result {
	v.t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		v.t.Fatal(err)
	}
	v.line.SetDeadline(time.Now().Add(3 * time.Minute))
	v.line.Write(append(b, '\n'))
	line, err := v.answers.ReadBytes('\n')
	if err != nil {
		v.t.Fatalf("%+v: %v\n%s", c, err, v.log())
	}
	var r Result
	if err := json.Unmarshal(line, &r); err != nil {
		v.t.Fatalf("%+v: %q: %v", c, line, err)
	}
	if r.Error != "" {
		v.t.Fatalf("%+v: %s\n%s", c, r.Error, v.log())
	}
	return r
}

// run runs a program in the guest and returns what it wrote.
func (v *vm) run(args ...string) string {
	v.t.Helper()
	r := v.do(Command{Run: args})
	if r.Code != 0 {
		v.t.Fatalf("%v: exit status %d: %s", args, r.Code, r.Out)
	}
	return r.Out
}

func (v *vm) stop() {
	if v.line != nil {
		v.line.Close()
	}
	v.qemu.Process.Kill()
	<-v.ended
}
