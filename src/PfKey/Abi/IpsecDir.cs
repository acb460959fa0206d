namespace Xfrmd.PfKey.Abi;

/// <summary><c>IPSEC_DIR_*</c>, linux/ipsec.h. The policies of sockets show up as 4 and 5.</summary>
public enum IpsecDir : byte
{
    Any = 0,
    Inbound = 1,
    Outbound = 2,
    Fwd = 3,

    /// <summary><c>IPSEC_DIR_MAX</c>: the first that is none.</summary>
    Max = 4,
}
