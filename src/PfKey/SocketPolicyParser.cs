using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

/// <summary>The value of IP_IPSEC_POLICY and IPV6_IPSEC_POLICY.</summary>
internal static class SocketPolicyParser
{
    private const int IpIpsecPolicy = 16, Ipv6IpsecPolicy = 34;

    /// <summary><c>pfkey_compile_policy</c>.</summary>
    public static Errno Compile(ushort socketFamily, int option, ReadOnlySpan<byte> value, Func<uint> nextReqid, out Policy? policy)
    {
        policy = null;
        int? expected = socketFamily switch { AddressFamily.Inet => IpIpsecPolicy, AddressFamily.Inet6 => Ipv6IpsecPolicy, _ => null };
        if (expected is null)
        {
            return Errno.EINVAL;
        }
        if (option != expected)
        {
            return Errno.EOPNOTSUPP;
        }
        if (!MemoryMarshal.TryRead(value, out SadbXPolicy given) || given.Len * ExtensionTable.Word > value.Length || given.Type > IpsecPolicyType.Bypass
            || given.Dir is not (IpsecDir.Inbound or IpsecDir.Outbound))
        {
            return Errno.EINVAL;
        }
        int length = given.Len * ExtensionTable.Word;
        PolicyTemplate[] templates = [];
        if (given.Type == IpsecPolicyType.Ipsec)
        {
            if (length < Unsafe.SizeOf<SadbXPolicy>())
            {
                return Errno.EINVAL;
            }
            Errno errno = IpsecRequests.Parse(value[..length], given.Dir, socketFamily, nextReqid, out templates);
            if (errno != Errno.None)
            {
                return errno;
            }
        }
        // A security context may follow; without an LSM it is looked at and forgotten.
        ReadOnlySpan<byte> rest = value[length..];
        if (MemoryMarshal.TryRead(rest, out SadbXSecCtx context)
            && (rest.Length < context.Len * ExtensionTable.Word || !SadbMessage.IsSecurityContext(rest)))
        {
            return Errno.EINVAL;
        }
        policy = new Policy
        {
            Selector = default,
            Family = socketFamily,
            Direction = (PolicyDirection)(given.Dir - 1),
            Action = given.Type == IpsecPolicyType.Discard ? PolicyAction.Block : PolicyAction.Allow,
            TemplateArray = templates,
            AcceptsAllAlgorithms = true,
            IsSocketPolicy = true,
        };
        return Errno.None;
    }
}
