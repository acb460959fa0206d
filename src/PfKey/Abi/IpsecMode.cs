namespace Xfrmd.PfKey.Abi;

/// <summary><c>IPSEC_MODE_*</c>, linux/ipsec.h.</summary>
public enum IpsecMode : byte
{
    Any = 0,
    Transport = 1,
    Tunnel = 2,
    Beet = 3,
}
