/* Loads the plug-in as packetdrill does, opens a connection and waits in accept on a second thread. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../shim.h"

static struct plugin_table t;
static int listener;

#define CHECK(what) do { if (!(what)) { printf("line %d: %s (errno %d)\n", __LINE__, #what, errno); exit(1); } } while (0)

static long long now(void)
{
	struct timeval tv;

	t.gettimeofday(t.userdata, &tv, NULL);
	return tv.tv_sec * 1000000LL + tv.tv_usec;
}

static long long begin, accepted_at;

static void *acceptor(void *arg)
{
	struct sockaddr_in peer;
	socklen_t n = sizeof(peer);
	int fd = t.accept(t.userdata, listener, (struct sockaddr *)&peer, &n);

	accepted_at = now(); /* as packetdrill does right after a call that blocks */
	CHECK(fd >= 0 && n == sizeof(peer) && ntohs(peer.sin_port) == 40000);
	return NULL;
}

static unsigned sum(const unsigned char *p, int n, unsigned s)
{
	for (int i = 0; i < n; i++)
		s += i & 1 ? p[i] : p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

/* A TCP segment from 192.0.2.1:40000 to 192.168.0.1:8080. */
static void inject(unsigned seq, unsigned ack, int flags)
{
	unsigned char p[40] = { 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 168, 0, 1,
				40000 >> 8, 40000 & 255, 8080 >> 8, 8080 & 255 };
	unsigned c;

	*(unsigned *)(p + 24) = htonl(seq);
	*(unsigned *)(p + 28) = htonl(ack);
	p[32] = 0x50, p[33] = flags, p[34] = p[35] = 0xff;
	c = ~sum(p, 20, 0), p[10] = c >> 8, p[11] = c;
	c = ~sum(p + 12, 28, 6 + 20), p[36] = c >> 8, p[37] = c;
	CHECK(t.netdev_send(t.userdata, p, sizeof(p)) == 0);
}

int main(int argc, char **argv)
{
	void *lib = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE | RTLD_DEEPBIND);
	void (*init)(const char *, struct plugin_table *) = lib ? dlsym(lib, "packetdrill_interface_init") : NULL;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(8080) };
	unsigned char p[2000];
	size_t n = sizeof(p);
	long long at;
	pthread_t thread;
	int value = 0, fds[2];
	socklen_t len = sizeof(value);

	CHECK(init);
	init("tcp=fstack,net.inet.tcp.sack.enable=0", &t);
	a.sin_addr.s_addr = inet_addr("192.168.0.1");
	listener = t.socket(t.userdata, AF_INET, SOCK_STREAM, IPPROTO_TCP);
	CHECK(listener >= 0);
	CHECK(t.bind(t.userdata, listener, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(t.listen(t.userdata, listener, 8) == 0);
	CHECK(t.getsockopt(t.userdata, listener, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 && value == 1 && len == 4);
	CHECK(t.read(t.userdata, 77, p, 1) == -1 && errno == EBADF);
	CHECK(t.read(t.userdata, listener, NULL, 1) == -1 && errno == EFAULT);
	CHECK(t.pipe(t.userdata, fds) == -1 && errno == ENOSYS);

	begin = now();
	CHECK(pthread_create(&thread, NULL, acceptor, NULL) == 0);
	CHECK(t.usleep(t.userdata, 500000) == 0); /* half a second of the plug-in's time */
	at = now();
	CHECK(at - begin >= 500000 && at - begin < 500100);

	inject(1000, 0, 2); /* SYN */
	CHECK(t.netdev_receive(t.userdata, p, &n, &at) == 0);
	CHECK(n == 44 && p[33] == 0x12 && at - begin < 500200); /* SYN-ACK with MSS, at once */
	CHECK(ntohl(*(unsigned *)(p + 28)) == 1001);
	inject(1001, ntohl(*(unsigned *)(p + 24)) + 1, 16); /* ACK */
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(accepted_at - begin >= 500000 && accepted_at - begin < 500500);
	t.free(t.userdata);
	puts("ok");
	return 0;
}
