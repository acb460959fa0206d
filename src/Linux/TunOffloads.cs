namespace Xfrmd.Linux;

/// <summary><c>TUN_F_*</c> of uapi/linux/if_tun.h: what the reader of a TUN takes over from the sender's stack.</summary>
[Flags]
public enum TunOffloads : uint
{
    None = 0,
    Checksum = 0x01,
    Tso4 = 0x02,
    Tso6 = 0x04,
    TsoEcn = 0x08,
    Uso4 = 0x20,
    Uso6 = 0x40,
    Tcp = Checksum | Tso4 | Tso6 | TsoEcn,
    All = Tcp | Uso4 | Uso6,
}
