namespace Xfrmd.PfKey.Abi;

/// <summary><c>IPSEC_POLICY_*</c>, linux/ipsec.h. The last two are for sockets only.</summary>
public enum IpsecPolicyType : ushort
{
    Discard = 0,
    None = 1,
    Ipsec = 2,
    Entrust = 3,
    Bypass = 4,
}
