namespace Xfrmd.PfKey.Abi;

/// <summary><c>IPSEC_LEVEL_*</c>, linux/ipsec.h.</summary>
public enum IpsecLevel : byte
{
    Default = 0,
    Use = 1,
    Require = 2,
    Unique = 3,
}
