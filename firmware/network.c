#include "network.h"

#include "board.h"
#include "console.h"
#include "random.h"

#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/stats.h"
#include "lwip/sys.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"

#if MIDGE_LWIP_MDNS
#include "lwip/apps/mdns.h"
#include "lwip/igmp.h"
#endif

#include <string.h>

/* Frames taken in one turn, before the broker gets its chance to answer. */
#define FRAMES_PER_TURN 8

/* How long the board may be without an address before it falls back on the one that was built in; DHCP goes on asking all the
 * same. */
#define DHCP_PATIENCE_MS 10000u

/* That address: one of QEMU's user network. */
#define BUILT_IN_ADDRESS 10, 0, 2, 15
#define BUILT_IN_NETMASK 255, 255, 255, 0
#define BUILT_IN_GATEWAY 10, 0, 2, 2

static struct netif interface;
static uint64_t without_since_ms;

u32_t sys_now(void)
{
    return (u32_t)midge_board_now_ms();
}

static err_t send_frame(struct netif *netif, struct pbuf *frame)
{
    (void)netif;
    if (!midge_board_ethernet_send(frame)) {
        LINK_STATS_INC(link.drop);
        return ERR_IF;
    }
    return ERR_OK;
}

static err_t start_interface(struct netif *netif)
{
    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->hostname = "midge";
    netif->hwaddr_len = 6;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP;
    netif->output = etharp_output;
    netif->linkoutput = send_frame;
    netif->mtu = (u16_t)midge_board_ethernet_init(netif->hwaddr);
    return ERR_OK;
}

static void say_address(struct netif *netif)
{
    char bytes[80], address[16];
    struct midge_text text;

    if (ip4_addr_isany_val(*netif_ip4_addr(netif))) {
        without_since_ms = midge_board_now_ms();
        return;
    }
    midge_text_start(&text, bytes, sizeof bytes);
    midge_text_add(&text, "address ");
    midge_text_add(&text, ip4addr_ntoa_r(netif_ip4_addr(netif), address, sizeof address));
    midge_text_add(&text, dhcp_supplied_address(netif) ? " by DHCP" : " built in: no answer to DHCP");
#if MIDGE_LWIP_MDNS
    midge_text_add(&text, ", midge.local");
    mdns_resp_announce(netif);
#endif
    midge_console_line(&text);
}

void midge_network_start(const char *service, uint16_t port)
{
    lwip_init();
    (void)netif_add_noaddr(&interface, NULL, start_interface, ethernet_input);
    netif_set_default(&interface);
    netif_set_status_callback(&interface, say_address);
    netif_set_link_up(&interface);
    netif_set_up(&interface);
#if MIDGE_LWIP_MDNS
    mdns_resp_init();
    (void)mdns_resp_add_netif(&interface, "midge", 60);
    (void)mdns_resp_add_service(&interface, "midge", service, DNSSD_PROTO_TCP, port, 60, NULL, NULL);
#else
    (void)service;
    (void)port;
#endif
    if (dhcp_start(&interface) != ERR_OK) {
        midge_console_say("DHCP did not start");
    }
}

static ip4_addr_t address_of(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    ip4_addr_t address;

    IP4_ADDR(&address, a, b, c, d);
    return address;
}

static void fall_back(void)
{
    ip4_addr_t address = address_of(BUILT_IN_ADDRESS);
    ip4_addr_t mask = address_of(BUILT_IN_NETMASK);
    ip4_addr_t gateway = address_of(BUILT_IN_GATEWAY);

    netif_set_addr(&interface, &address, &mask, &gateway);
}

bool midge_network_turn(void)
{
    struct pbuf *frame;
    int frames;

    for (frames = 0; frames < FRAMES_PER_TURN; frames++) {
        if (!midge_board_ethernet_pending()) {
            break;
        }
        frame = midge_board_ethernet_receive();
        if (frame) {
            midge_random_stir(midge_board_entropy_tick());
            if (interface.input(frame, &interface) != ERR_OK) {
                (void)pbuf_free(frame);
            }
        }
    }
    sys_check_timeouts();
    if (!midge_network_ready() && midge_board_now_ms() - without_since_ms >= DHCP_PATIENCE_MS) {
        fall_back();
    }
    return frames == FRAMES_PER_TURN;
}

bool midge_network_ready(void)
{
    return !ip4_addr_isany_val(*netif_ip4_addr(&interface));
}
