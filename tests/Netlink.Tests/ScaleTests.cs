using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Replay;

namespace Xfrmd.Netlink.Tests;

/// <summary>
/// What one request costs does not grow with the databases: counted in bytes allocated, which no busy machine changes. What stays behind is
/// counted over the whole process, so nothing else may run beside it.
/// </summary>
[Collection(Alone)]
public sealed class ScaleTests : IDisposable
{
    internal const string Alone = "alone";
    private const int Many = 20_000, Sample = 500;
    private readonly XfrmNamespace _space = new(1, new ManualTime());
    private readonly Client _client;

    public ScaleTests() => _client = new Client(new NetlinkXfrmFamily(), _space);

    public void Dispose()
    {
        _client.Dispose();
        _space.Dispose();
    }

    [Fact]
    public void Policies_come_and_go_at_one_price() =>
        AssertFlat(i => Client.NewPolicy(i, i), i => Client.DelPolicy(i, i));

    [Fact]
    public void SAs_between_two_hosts_come_and_go_at_one_price() => AssertFlat(NewSa, i => Client.Message(XfrmMsg.DelSa, NlMsgFlags.Ack, i, new XfrmUserSaId
    {
        Daddr = XfrmAddress.Parse("10.0.0.2"),
        Spi = Be32.From(0x1000 + i),
        Family = AddressFamily.Inet,
        Proto = IpProtocol.Esp,
    }));

    [Fact]
    public void Limits_that_were_lifted_leave_no_timers_behind()
    {
        long Memory()
        {
            for (uint i = 1; i <= Sample; i++)
            {
                Assert.Equal(0, _client.Request(Client.Message(XfrmMsg.NewPolicy, NlMsgFlags.Ack, i, new XfrmUserPolicyInfo
                {
                    Sel = Client.Selector(i),
                    Lft = XfrmLifetimeCfg.Unlimited(hardAddSeconds: 1_000_000),
                    Dir = (byte)PolicyDirection.Out,
                })));
                Assert.Equal(0, _client.Request(Client.DelPolicy(i, i)));
            }
            return GC.GetTotalMemory(forceFullCollection: true);
        }

        for (int warm = 0; warm < 8; warm++)
        {
            Memory();
        }
        long before = Memory();
        for (int more = 0; more < 20; more++)
        {
            Memory();
        }
        const long perPolicy = 400;   // a policy that a forgotten timer holds is more than that
        Assert.True(Memory() - before < Sample * 10 * perPolicy);
    }

    private void AssertFlat(Func<uint, byte[]> add, Func<uint, byte[]> delete)
    {
        long few = Cost(1, Sample, add);
        Cost(Sample + 1, Many, add);
        long many = Cost(Many + 1, Many + Sample, add);
        long fewer = Cost(1, Sample, delete);
        Assert.InRange(many, 0, 2 * few);
        Assert.InRange(fewer, 0, 2 * few);
    }

    private long Cost(uint first, uint last, Func<uint, byte[]> request)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (uint i = first; i <= last; i++)
        {
            Assert.Equal(0, _client.Request(request(i)));
        }
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private static byte[] NewSa(uint number)
    {
        XfrmUserSaInfo info = new()
        {
            Id = new XfrmId { Daddr = XfrmAddress.Parse("10.0.0.2"), Spi = Be32.From(0x1000 + number), Proto = IpProtocol.Esp },
            Saddr = XfrmAddress.Parse("10.0.0.1"),
            Lft = XfrmLifetimeCfg.Unlimited(),
            Family = AddressFamily.Inet,
            Mode = (byte)XfrmMode.Tunnel,
        };
        XfrmAlgoAuth algorithm = new() { Name = XfrmAlgName.From("rfc4106(gcm(aes))"), KeyLen = 160, IcvLen = 128 };
        return Client.Message(XfrmMsg.NewSa, NlMsgFlags.Ack, number, info, (XfrmAttr.AlgAead, [.. Client.Bytes(algorithm), .. new byte[20]]));
    }
}
