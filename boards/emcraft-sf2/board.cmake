set(BOARD_CPU cortex-m3)
set(BOARD_INTERRUPTS 82)
set(BOARD_EMULATOR qemu-system-arm -M emcraft-sf2)
set(BOARD_SHARES ram-64k)
set(BOARD_FLASH_BUDGET 65536)
set(BOARD_RAM_BUDGET 65536)
set(BOARD_CLIENTS 16)
# The emulated EMAC drops frames for which its ring has no room, and has no way to push back.
set(BOARD_RATE 10)
