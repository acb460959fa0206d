using Xfrmd.Kernel;
using static Xfrmd.PfKey.Tests.Messages;

namespace Xfrmd.PfKey.Tests;

public sealed class SocketPolicyTests : IDisposable
{
    private readonly Machine _machine = new();

    public void Dispose() => _machine.Dispose();

    [Theory]
    [InlineData(AddressFamily.Inet, IpIpsecPolicy)]
    [InlineData(AddressFamily.Inet6, Ipv6IpsecPolicy)]
    public void IKE_daemons_ask_for_bypass_with_16_bytes(ushort family, int option)
    {
        foreach (byte direction in new[] { In, Out })
        {
            byte[] value = Messages.Policy(4, direction);
            Assert.Equal(16, value.Length);
            Assert.Equal(Errno.None, Compile(family, option, value, out Policy? policy));
            Assert.Equal((PolicyAction.Allow, (PolicyDirection)(direction - 1), 0, family, true),
                (policy!.Action, policy.Direction, policy.TemplateArray.Length, policy.Family, policy.IsSocketPolicy));
        }
    }

    [Theory]
    [InlineData(0, PolicyAction.Block)]   // DISCARD
    [InlineData(1, PolicyAction.Allow)]   // NONE
    [InlineData(3, PolicyAction.Allow)]   // ENTRUST
    public void Types_without_requests(ushort type, PolicyAction action)
    {
        // What follows is not looked at.
        Assert.Equal(Errno.None, Compile(AddressFamily.Inet, IpIpsecPolicy, Messages.Policy(type, Out, requests: [new byte[16]]), out Policy? policy));
        Assert.Equal((action, 0), (policy!.Action, policy.TemplateArray.Length));
    }

    [Fact]
    public void Requests_become_templates()
    {
        byte[] value = Messages.Policy(2, Out, requests: [Request(108, Transport, 1), Request(50, Tunnel, 3, 7, "10.0.0.1", "10.0.0.2")]);
        Assert.Equal(Errno.None, Compile(AddressFamily.Inet, IpIpsecPolicy, value, out Policy? policy));
        Assert.Equal([(IpProtocol.Comp, XfrmMode.Transport, 0u, true), (IpProtocol.Esp, XfrmMode.Tunnel, 7u, false)],
            policy!.TemplateArray.Select(t => (t.Id.Proto, t.Mode, t.Reqid, t.IsOptional)));
        Assert.Equal(XfrmAddress.Parse("10.0.0.2"), policy.TemplateArray[1].Id.Daddr);
        Assert.True(policy.AcceptsAllAlgorithms);
    }

    [Fact]
    public void What_is_refused()
    {
        Assert.Equal(Errno.EOPNOTSUPP, Compile(AddressFamily.Inet, Ipv6IpsecPolicy, Messages.Policy(4, In), out _));
        Assert.Equal(Errno.EOPNOTSUPP, Compile(AddressFamily.Inet6, IpIpsecPolicy, Messages.Policy(4, In), out _));
        Assert.Equal(Errno.EINVAL, Compile(AddressFamily.Unspec, IpIpsecPolicy, Messages.Policy(4, In), out _));
        Assert.Equal(Errno.EINVAL, Compile(AddressFamily.Inet, IpIpsecPolicy, new byte[15], out _));
        Assert.Equal(Errno.EINVAL, Compile(AddressFamily.Inet, IpIpsecPolicy, Messages.Policy(5, In), out _));
        Assert.Equal(Errno.EINVAL, Compile(AddressFamily.Inet, IpIpsecPolicy, Messages.Policy(4, 0), out _));
        Assert.Equal(Errno.EINVAL, Compile(AddressFamily.Inet, IpIpsecPolicy, Messages.Policy(4, Fwd), out _));
        byte[] beyond = Messages.Policy(4, In);
        beyond[0] = 3;
        Assert.Equal(Errno.EINVAL, Compile(AddressFamily.Inet, IpIpsecPolicy, beyond, out _));
        // USE is not for outbound tunnels, and a tunnel names its ends.
        Assert.Equal(Errno.EINVAL, Compile(AddressFamily.Inet, IpIpsecPolicy, Messages.Policy(2, Out, requests: [Request(50, Tunnel, 1, 0, "10.0.0.1", "10.0.0.2")]), out _));
        Assert.Equal(Errno.EINVAL, Compile(AddressFamily.Inet, IpIpsecPolicy, Messages.Policy(2, In, requests: [Request(50, Tunnel, 2)]), out _));
        Assert.Equal(Errno.ELOOP, Compile(AddressFamily.Inet, IpIpsecPolicy, Messages.Policy(2, In, requests: [.. Enumerable.Repeat(Request(50, Transport, 2), 7)]), out _));
    }

    [Fact]
    public void A_security_context_may_follow()
    {
        byte[] context = Extension(24, 1, 1, 8, 0, 65, 66, 67, 68, 69, 70, 71, 72);
        Assert.Equal(Errno.None, Compile(AddressFamily.Inet, IpIpsecPolicy, [.. Messages.Policy(4, In), .. context], out _));
        context[0] = 9;
        Assert.Equal(Errno.EINVAL, Compile(AddressFamily.Inet, IpIpsecPolicy, [.. Messages.Policy(4, In), .. context], out _));
    }

    [Fact]
    public void Unique_requests_without_a_number_get_one_that_nobody_has()
    {
        Machine.Client client = _machine.Open();
        client.Ask(Message(SpdAdd, Unspec, 1, Source("10.0.0.1"), Destination("10.0.0.2"), Messages.Policy(2, Out, requests: [Request(50, Transport, 3)])));
        Assert.Equal(Errno.None, Compile(AddressFamily.Inet, IpIpsecPolicy, UniqueSocketPolicy(0x4001), out Policy? policy));
        Assert.Equal(0x4001u, policy!.TemplateArray[0].Reqid);
        Assert.Equal(Errno.None, Compile(AddressFamily.Inet, IpIpsecPolicy, UniqueSocketPolicy(0x3fff), out policy));
        Assert.Equal(0x3fffu, policy!.TemplateArray[0].Reqid);
    }

    private Errno Compile(ushort family, int option, byte[] value, out Policy? policy)
    {
        lock (_machine.Space.Gate)
        {
            return _machine.PfKey.CompileSocketPolicy(_machine.Space, family, option, value, out policy);
        }
    }
}
