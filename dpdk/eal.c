//go:build !nodpdk

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include "eal.h"

// Log: DPDK writes to a stdio stream whose end is a pipe to Go, as records. What is worth an error message is
// also kept in a buffer, from the last fs_log_mark on.

static struct {
	pthread_mutex_t mutex;
	int fd;
	size_t len;
	char kept[8192];
} sink = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

static void record(int level, const char *buf, size_t n)
{
	struct {
		struct fs_log_record head;
		char text[2048];
	} r;

	if (n > sizeof(r.text))
		n = sizeof(r.text);
	r.head = (struct fs_log_record){.level = level, .len = n};
	memcpy(r.text, buf, n);
	pthread_mutex_lock(&sink.mutex);
	// At most PIPE_BUF bytes: whole or not at all. A pipe that is full loses the line rather than to wait.
	if (sink.fd >= 0 && write(sink.fd, &r, sizeof(r.head) + n) < 0)
		errno = 0;
	if (level <= RTE_LOG_WARNING && sink.len + n + 1 <= sizeof(sink.kept)) {
		sink.kept[sink.len++] = level;
		memcpy(sink.kept + sink.len, buf, n);
		sink.len += n;
	}
	pthread_mutex_unlock(&sink.mutex);
	// rte_panic ends the process behind its line: no goroutine will pass that on.
	if (level > 0 && level <= RTE_LOG_CRIT && write(STDERR_FILENO, buf, n) < 0)
		errno = 0;
}

static ssize_t write_log(void *cookie __rte_unused, const char *buf, size_t n)
{
	record(rte_log_cur_msg_loglevel(), buf, n);
	return n;
}

// What EAL's command-line parser says outside of the log: getopt on stderr, the usage on stdout.
static ssize_t write_stderr(void *cookie __rte_unused, const char *buf, size_t n)
{
	record(RTE_LOG_ERR, buf, n);
	return n;
}

static ssize_t write_stdout(void *cookie __rte_unused, const char *buf, size_t n)
{
	record(RTE_LOG_INFO, buf, n);
	return n;
}

static FILE *open_stream(ssize_t (*write)(void *, const char *, size_t))
{
	return fopencookie(NULL, "w", (cookie_io_functions_t){.write = write});
}

int fs_log_open(int fd)
{
	FILE *f = open_stream(write_log);

	if (f == NULL)
		return -errno;
	pthread_mutex_lock(&sink.mutex);
	sink.fd = fd;
	pthread_mutex_unlock(&sink.mutex);
	return rte_openlog_stream(f);
}

void fs_log_close(void)
{
	pthread_mutex_lock(&sink.mutex);
	sink.fd = -1;
	pthread_mutex_unlock(&sink.mutex);
}

void fs_log_mark(void)
{
	pthread_mutex_lock(&sink.mutex);
	sink.len = 0;
	pthread_mutex_unlock(&sink.mutex);
}

// fs_log_since copies what was kept: for each message a byte with its level, then its lines.
size_t fs_log_since(char *buf, size_t size)
{
	size_t n;

	pthread_mutex_lock(&sink.mutex);
	n = sink.len < size ? sink.len : size;
	memcpy(buf, sink.kept, n);
	pthread_mutex_unlock(&sink.mutex);
	return n;
}

// Go preempts its threads by SIGURG, and drivers do not repeat what EINTR cut short. Threads that EAL starts
// meanwhile inherit the mask and never run Go's handlers.
static _Thread_local sigset_t held;

void fs_signals_hold(void)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	pthread_sigmask(SIG_BLOCK, &all, &held);
}

void fs_signals_free(void)
{
	pthread_sigmask(SIG_SETMASK, &held, NULL);
}

int fs_eal_init(int argc, char **argv)
{
	FILE *out = stdout, *err = stderr, *o = open_stream(write_stdout), *e = open_stream(write_stderr);
	cpu_set_t affinity;
	bool restore = pthread_getaffinity_np(pthread_self(), sizeof(affinity), &affinity) == 0;
	int rc, code;

	if (e != NULL)
		setvbuf(e, NULL, _IOLBF, BUFSIZ);
	if (o != NULL)
		stdout = o;
	if (e != NULL)
		stderr = e;
	rte_errno = 0;
	rc = rte_eal_init(argc, argv);
	code = rte_errno;
	stdout = out;
	stderr = err;
	if (o != NULL)
		fclose(o);
	if (e != NULL)
		fclose(e);
	// rte_eal_init makes the calling thread the main lcore. Give it back as it was: the loop may run on any
	// thread, and claims the lcore's caches in each exchange.
	if (restore)
		pthread_setaffinity_np(pthread_self(), sizeof(affinity), &affinity);
	RTE_PER_LCORE(_lcore_id) = LCORE_ID_ANY;
	return rc < 0 ? -(code ? code : EINVAL) : 0;
}

int fs_eal_cleanup(void)
{
	return rte_eal_cleanup();
}

static void alarm_reached(void *sem)
{
	sem_post(sem);
}

// Alarms run in order, on EAL's interrupt thread. The first to be reached says that this thread has seen all that
// happened before; it may have set others, behind which the second comes; these may have it wait for other descriptors,
// which it has begun to by the third, and the fourth comes out of that wait.
void fs_alarms_drain(void)
{
	static sem_t reached; // stays: an alarm may be reached too late
	struct timespec end;

	sem_init(&reached, 0, 0);
	for (int i = 0; i < 4; i++) {
		if (rte_eal_alarm_set(1, alarm_reached, &reached) != 0)
			return;
		clock_gettime(CLOCK_REALTIME, &end);
		end.tv_sec += 2;
		while (sem_timedwait(&reached, &end) != 0) {
			if (errno == EINTR)
				continue;
			rte_eal_alarm_cancel(alarm_reached, &reached);
			return;
		}
	}
}

int fs_port_configure(const struct fs_port_setup *c)
{
	struct rte_eth_conf conf = {
		.rxmode = {.mtu = c->mtu, .offloads = c->rx_offloads, .mq_mode = RTE_ETH_MQ_RX_NONE},
		.txmode = {.offloads = c->tx_offloads},
		.intr_conf = {.rxq = c->rx_interrupts},
	};

	if (c->rss_hash != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = c->rss_hash;
		conf.rx_adv_conf.rss_conf.rss_key = c->rss_key;
		conf.rx_adv_conf.rss_conf.rss_key_len = c->rss_key_len;
	}
	return rte_eth_dev_configure(c->port, c->queues, c->queues, &conf);
}

int fs_port_rx_queue(const struct fs_port_setup *c, uint16_t queue, int socket, struct rte_mempool *pool)
{
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(c->port, &info);

	if (rc != 0)
		return rc;
	info.default_rxconf.offloads = c->rx_offloads;
	return rte_eth_rx_queue_setup(c->port, queue, c->rx_desc, socket, &info.default_rxconf, pool);
}

int fs_port_tx_queue(const struct fs_port_setup *c, uint16_t queue, int socket)
{
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(c->port, &info);

	if (rc != 0)
		return rc;
	info.default_txconf.offloads = c->tx_offloads;
	return rte_eth_tx_queue_setup(c->port, queue, c->tx_desc, socket, &info.default_txconf);
}

int fs_port_link(uint16_t port, uint32_t *speed, int *duplex, int *up)
{
	struct rte_eth_link link;
	int rc = rte_eth_link_get_nowait(port, &link);

	if (rc == 0) {
		*speed = link.link_speed;
		*duplex = link.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
		*up = link.link_status == RTE_ETH_LINK_UP;
	}
	return rc;
}

int fs_on_vdev(uint16_t port)
{
	struct rte_eth_dev_info info;

	return rte_eth_dev_info_get(port, &info) == 0 && info.device != NULL && strcmp(rte_bus_name(rte_dev_bus(info.device)), "vdev") == 0;
}
