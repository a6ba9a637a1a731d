#include "shim.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "_cgo_export.h"

/* Go returns a negative errno; C wants -1 and errno. */
static long long result(long long n)
{
	if (n < 0) {
		errno = (int)-n;
		return -1;
	}
	return n;
}

static void p_free(void *u) { goFree(); }
static int p_socket(void *u, int domain, int type, int proto) { return result(goSocket(domain, type, proto)); }
static int p_bind(void *u, int fd, const struct sockaddr *a, socklen_t n) { return result(goBind(fd, (void *)a, n)); }
static int p_listen(void *u, int fd, int backlog) { return result(goListen(fd, backlog)); }
static int p_accept(void *u, int fd, struct sockaddr *a, socklen_t *n) { return result(goAccept(fd, a, n)); }

static int p_connect(void *u, int fd, const struct sockaddr *a, socklen_t n)
{
	return result(goConnect(fd, (void *)a, n));
}

static ssize_t p_recvfrom(void *u, int fd, void *p, size_t len, int flags, struct sockaddr *a, socklen_t *n)
{
	struct iovec v = { p, len };

	return result(goRecv(fd, &v, 1, flags, a, n));
}

static ssize_t p_recv(void *u, int fd, void *p, size_t len, int flags)
{
	return p_recvfrom(u, fd, p, len, flags, NULL, NULL);
}

static ssize_t p_read(void *u, int fd, void *p, size_t len) { return p_recv(u, fd, p, len, 0); }

static ssize_t p_readv(void *u, int fd, const struct iovec *v, int n)
{
	return result(goRecv(fd, (void *)v, n, 0, NULL, NULL));
}

static ssize_t p_recvmsg(void *u, int fd, struct msghdr *m, int flags)
{
	m->msg_controllen = 0;
	m->msg_flags = 0;
	return result(goRecv(fd, m->msg_iov, m->msg_iovlen, flags, m->msg_name, &m->msg_namelen));
}

static ssize_t p_sendto(void *u, int fd, const void *p, size_t len, int flags, const struct sockaddr *a, socklen_t n)
{
	struct iovec v = { (void *)p, len };

	return result(goSend(fd, &v, 1, flags, (void *)a, n));
}

static ssize_t p_send(void *u, int fd, const void *p, size_t len, int flags)
{
	return p_sendto(u, fd, p, len, flags, NULL, 0);
}

static ssize_t p_write(void *u, int fd, const void *p, size_t len) { return p_send(u, fd, p, len, 0); }

static ssize_t p_writev(void *u, int fd, const struct iovec *v, int n)
{
	return result(goSend(fd, (void *)v, n, 0, NULL, 0));
}

static ssize_t p_sendmsg(void *u, int fd, const struct msghdr *m, int flags)
{
	return result(goSend(fd, m->msg_iov, m->msg_iovlen, flags, m->msg_name, m->msg_namelen));
}

static int p_fcntl(void *u, int fd, int cmd, ...)
{
	va_list list;
	int arg;

	va_start(list, cmd);
	arg = va_arg(list, int);
	va_end(list);
	return result(goFcntl(fd, cmd, arg));
}

static int p_ioctl(void *u, int fd, unsigned long request, ...)
{
	va_list list;
	int *value;
	long long n;

	if (request != FIONREAD)
		return result(-ENOSYS);
	va_start(list, request);
	value = va_arg(list, int *);
	va_end(list);
	n = goUnread(fd);
	if (n < 0)
		return result(n);
	*value = n;
	return 0;
}

static int p_close(void *u, int fd) { return result(goClose(fd)); }
static int p_shutdown(void *u, int fd, int how) { return result(goShutdown(fd, how)); }

static int p_getsockopt(void *u, int fd, int level, int name, void *v, socklen_t *n)
{
	return result(goGetsockopt(fd, level, name, v, n));
}

static int p_setsockopt(void *u, int fd, int level, int name, const void *v, socklen_t n)
{
	return result(goSetsockopt(fd, level, name, (void *)v, n));
}

static int p_poll(void *u, struct pollfd *fds, nfds_t n, int timeout) { return result(goPoll(fds, n, timeout)); }
static int p_netdev_send(void *u, const void *p, size_t n) { return result(goNetdevSend((void *)p, n)); }

static int p_netdev_receive(void *u, void *p, size_t *n, long long *usecs)
{
	return result(goNetdevReceive(p, n, usecs));
}

static int p_usleep(void *u, useconds_t usecs) { return result(goUsleep(usecs)); }

static int p_gettimeofday(void *u, struct timeval *tv, struct timezone *tz)
{
	long long now = goNow();

	tv->tv_sec = now / 1000000;
	tv->tv_usec = now % 1000000;
	return 0;
}

static int p_epoll_create(void *u, int size) { return result(goEpollCreate(size)); }

static int p_epoll_ctl(void *u, int ep, int op, int fd, struct epoll_event *e)
{
	return result(goEpollCtl(ep, op, fd, e ? e->events : 0, e ? e->data.u64 : 0));
}

static int p_epoll_wait(void *u, int ep, struct epoll_event *e, int n, int timeout)
{
	return result(goEpollWait(ep, e, n, timeout));
}

static int p_pipe(void *u, int *fds) { return result(-ENOSYS); }

static int p_splice(void *u, int in, loff_t *in_at, int out, loff_t *out_at, size_t n, unsigned int flags)
{
	return result(-ENOSYS);
}

/* packetdrill_interface_init is what packetdrill looks up and calls first. */
void packetdrill_interface_init(const char *flags, struct plugin_table *t)
{
	if (goInit((char *)flags) < 0)
		exit(EXIT_FAILURE); /* goInit has said why */
	*t = (struct plugin_table){
		.free = p_free, .socket = p_socket, .bind = p_bind, .listen = p_listen, .accept = p_accept,
		.connect = p_connect, .read = p_read, .readv = p_readv, .recv = p_recv, .recvfrom = p_recvfrom,
		.recvmsg = p_recvmsg, .write = p_write, .writev = p_writev, .send = p_send, .sendto = p_sendto,
		.sendmsg = p_sendmsg, .fcntl = p_fcntl, .ioctl = p_ioctl, .close = p_close, .shutdown = p_shutdown,
		.getsockopt = p_getsockopt, .setsockopt = p_setsockopt, .poll = p_poll,
		.netdev_send = p_netdev_send, .netdev_receive = p_netdev_receive, .usleep = p_usleep,
		.gettimeofday = p_gettimeofday, .epoll_create = p_epoll_create, .epoll_ctl = p_epoll_ctl,
		.epoll_wait = p_epoll_wait, .pipe = p_pipe, .splice = p_splice,
	};
}
