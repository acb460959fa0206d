namespace Xfrmd.Interop.Harness;

/// <summary>What a link carried: the packets that were neither ESP nor IKE, and the first few thousand that were ESP or on port 4500.</summary>
public sealed record WireReport(IReadOnlyList<CapturedPacket> Clear, IReadOnlyList<CapturedPacket> Protected)
{
    /// <summary>ESP straight in IP.</summary>
    public int RawEsp => Protected.Count(packet => packet.Protocol == CapturedPacket.Esp);

    /// <summary>ESP in UDP 4500, without IKE (which begins with four zero octets there) and keepalives.</summary>
    public int UdpEsp => Protected.Count(packet => packet.IsUdpEsp);

    public int Keepalives => Protected.Count(packet => packet.IsKeepalive);

    /// <summary>No packet between two networks that policy covers passed in clear, in either direction.</summary>
    public WireReport AssertNothingClear(params (string One, string Other)[] covered)
    {
        Network[][] pairs = [.. covered.Select(pair => new[] { Network.Parse(pair.One), Network.Parse(pair.Other) })];
        CapturedPacket[] leaks = [.. Clear.Where(packet => packet.IsFirstFragment && !packet.IsNeighbourDiscovery && pairs.Any(pair => Covers(pair[0], pair[1], packet)))];
        Assert.True(leaks.Length == 0, $"{leaks.Length} packets that policy covers passed in clear:\n{string.Join('\n', leaks.Take(20))}");
        return this;
    }

    public WireReport AssertRawEsp(int atLeast = 1)
    {
        Assert.True(RawEsp >= atLeast, $"{RawEsp} ESP packets, {UdpEsp} in UDP; at least {atLeast} ESP packets expected");
        Assert.True(UdpEsp == 0, $"{UdpEsp} ESP packets were in UDP");
        return this;
    }

    public WireReport AssertUdpEsp(int atLeast = 1)
    {
        Assert.True(UdpEsp >= atLeast, $"{UdpEsp} ESP packets in UDP, {RawEsp} straight in IP; at least {atLeast} in UDP expected");
        Assert.True(RawEsp == 0, $"{RawEsp} ESP packets were straight in IP");
        return this;
    }

    private static bool Covers(Network one, Network other, CapturedPacket packet) =>
        packet.Source is { } source && packet.Destination is { } destination &&
        ((one.Contains(source) && other.Contains(destination)) || (one.Contains(destination) && other.Contains(source)));
}
