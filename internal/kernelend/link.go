package kernelend

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Configure sets addresses on an interface and switches it on, in the namespace, or in the process's if n is nil.
// IPv6 addresses are used at once, without duplicate address detection: the link has two ends and we set both.
func (n *Namespace) Configure(iface string, addrs []netip.Prefix) error {
	h, err := n.handle()
	if err != nil {
		return fmt.Errorf("interface %s: netlink: %w", iface, err)
	}
	defer h.Close()
	if n != nil {
		if lo, err := h.LinkByName("lo"); err == nil { // so that programs in the namespace find their own addresses
			err = h.LinkSetUp(lo)
			if err != nil {
				return fmt.Errorf("interface lo: set up: %w", err)
			}
		}
	}
	link, err := h.LinkByName(iface)
	if err != nil {
		return fmt.Errorf("interface %s: %w: the driver made none of that name", iface, err)
	}
	for _, a := range addrs {
		flags := 0
		if a.Addr().Is6() {
			flags = unix.IFA_F_NODAD
		}
		ip := &net.IPNet{IP: a.Addr().AsSlice(), Mask: net.CIDRMask(a.Bits(), a.Addr().BitLen())}
		if err := h.AddrReplace(link, &netlink.Addr{IPNet: ip, Flags: flags}); err != nil {
			return fmt.Errorf("interface %s: add address %s: %w", iface, a, err)
		}
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("interface %s: set up: %w", iface, err)
	}
	return nil
}

func (n *Namespace) handle() (*netlink.Handle, error) {
	if n == nil {
		return netlink.NewHandle(unix.NETLINK_ROUTE)
	}
	return netlink.NewHandleAt(netns.NsHandle(n.file.Fd()), unix.NETLINK_ROUTE)
}
