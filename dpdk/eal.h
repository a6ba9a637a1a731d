// The C side of starting EAL and of ports: what is awkward to say through cgo.
#ifndef FSTACK_EAL_H
#define FSTACK_EAL_H

#include <stddef.h>
#include <stdint.h>

struct rte_mempool;

// A record of the log pipe: this header, then len bytes.
struct fs_log_record {
	uint8_t level;
	uint8_t pad;
	uint16_t len;
};

int fs_log_open(int fd);
void fs_log_close(void);
void fs_log_mark(void);
size_t fs_log_since(char *buf, size_t size);

// fs_signals_hold keeps signals from interrupting system calls of this thread, until fs_signals_free.
void fs_signals_hold(void);
void fs_signals_free(void);

int fs_eal_init(int argc, char **argv);
int fs_eal_cleanup(void);

// fs_alarms_drain waits until EAL's thread has done what drivers have asked it to do later.
void fs_alarms_drain(void);

struct fs_port_setup {
	uint16_t port, queues, rx_desc, tx_desc, mtu;
	uint8_t rx_interrupts, rss_key_len;
	uint64_t rx_offloads, tx_offloads, rss_hash;
	uint8_t *rss_key;
};

int fs_port_configure(const struct fs_port_setup *c);
int fs_port_rx_queue(const struct fs_port_setup *c, uint16_t queue, int socket, struct rte_mempool *pool);
int fs_port_tx_queue(const struct fs_port_setup *c, uint16_t queue, int socket);
int fs_port_link(uint16_t port, uint32_t *speed, int *duplex, int *up);
int fs_on_vdev(uint16_t port);

#endif
