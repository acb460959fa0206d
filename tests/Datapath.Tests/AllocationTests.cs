using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Tests;

/// <summary>A packet that goes through allocates nothing.</summary>
public sealed class AllocationTests
{
    private const int Packets_ = 500, Rounds = 3;

    private static readonly Dictionary<string, Func<SecurityAssociation[]>> Chains = new()
    {
        ["gcm tunnel"] = () => [Sas.Gcm(XfrmMode.Tunnel)],
        ["gcm tunnel over ipv6"] = () => [Sas.Gcm(XfrmMode.Tunnel, AddressFamily.Inet6)],
        ["gcm transport"] = () => [Sas.Gcm(XfrmMode.Transport)],
        ["gcm in udp"] = () => [Sas.Gcm(XfrmMode.Tunnel, change: static sa => sa.Encap = new XfrmEncapTmpl { EncapType = XfrmEncapTmpl.EspInUdp, EncapSport = Be16.From(4500), EncapDport = Be16.From(4500) })],
        ["cbc sha256"] = () => [Sas.Authenc("cbc(aes)", 32, "hmac(sha256)", 32, 128, XfrmMode.Tunnel)],
        ["cbc sha1 esn"] = () => [Sas.Authenc("cbc(aes)", 16, "hmac(sha1)", 20, 96, XfrmMode.Tunnel, change: static sa => sa.Flags |= SaFlags.Esn)],
        ["chacha"] = () => [Sas.Create(IpProtocol.Esp, XfrmMode.Tunnel, AddressFamily.Inet, 0x1000, static sa =>
            sa.Aead = new SaAead("rfc7539esp(chacha20,poly1305)", new Crypto.SecretKey(new byte[36]), 288, 128))],
        ["ah"] = () => [Sas.Ah("hmac(sha256)", 32, 128, XfrmMode.Tunnel)],
        ["ipcomp in esp"] = () => [Sas.Comp(XfrmMode.Tunnel), Sas.Gcm(XfrmMode.Transport)],
    };

    public static TheoryData<string> Names => [.. Chains.Keys];

    [Theory, MemberData(nameof(Names))]
    public void Nothing_is_allocated_either_way(string name)
    {
        using Link link = new(Chains[name]);
        link.WithPolicy(AddressFamily.Inet);
        bool isTransport = link.SenderSas.All(static sa => sa.Mode == XfrmMode.Transport);
        byte[] packet = isTransport ? Packets.Udp4(1000, saddr: Sas.Left4, daddr: Sas.Right4) : Packets.Udp4(1000);
        byte[] buffer = new byte[4096];
        for (int i = 0; i < 3; i++)
        {
            Assert.True(Pass(link, packet, buffer));
        }
        // The runtime itself allocates once now and then, when it compiles anew what runs. A path that allocates does so in every round.
        long allocated = -1;
        for (int round = 0; round < Rounds && allocated != 0; round++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            bool all = true;
            for (int i = 0; i < Packets_; i++)
            {
                all &= Pass(link, packet, buffer);
            }
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(all, Packets.Counters(link.Sender) + Packets.Counters(link.Receiver));
        }
        Assert.Equal(0, allocated);
    }

    private static bool Pass(Link link, byte[] packet, byte[] buffer)
    {
        const int Before = 512;
        packet.CopyTo(buffer, Before);
        PacketSlot slot = new(buffer, Before, packet.Length, 0, buffer.Length);
        return link.Outbound.Transform(ref slot, link.Bundle, link.Clock.Seconds) == OutboundVerdict.Send
            && Arrival.TryParse(ref slot, out Arrival arrival)
            && link.Inbound.Process(ref slot, arrival, link.Clock.Seconds).Deliver
            && slot.Span.SequenceEqual(packet);
    }
}
