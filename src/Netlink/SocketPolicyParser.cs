using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink;

/// <summary>The value of IP_XFRM_POLICY and IPV6_XFRM_POLICY: <c>struct xfrm_userpolicy_info</c> and templates behind it.</summary>
internal static class SocketPolicyParser
{
    private const int IpXfrmPolicy = 17, Ipv6XfrmPolicy = 35;

    /// <summary><c>xfrm_compile_policy</c>.</summary>
    public static Errno Compile(ushort socketFamily, int option, ReadOnlySpan<byte> value, out Policy? policy)
    {
        policy = null;
        int? expected = socketFamily switch { AddressFamily.Inet => IpXfrmPolicy, AddressFamily.Inet6 => Ipv6XfrmPolicy, _ => null };
        if (expected is null)
        {
            return Errno.EINVAL;
        }
        if (option != expected)
        {
            return Errno.EOPNOTSUPP;
        }
        if (!MemoryMarshal.TryRead(value, out XfrmUserPolicyInfo info) || !XfrmHandler.VerifyNewPolicy(info).IsOk
            || !XfrmHandler.ReadTemplates(info, value[Unsafe.SizeOf<XfrmUserPolicyInfo>()..].ToArray(), out PolicyTemplate[] templates).IsOk
            || (PolicyDirection)info.Dir is not (PolicyDirection.In or PolicyDirection.Out))
        {
            return Errno.EINVAL;
        }
        policy = new Policy
        {
            Selector = info.Sel,
            Direction = (PolicyDirection)info.Dir,
            Lifetime = info.Lft,
            Priority = info.Priority,
            Action = (PolicyAction)info.Action,
            Flags = (PolicyFlags)info.Flags,
            TemplateArray = templates,
            IsSocketPolicy = true,
        };
        return Errno.None;
    }
}
