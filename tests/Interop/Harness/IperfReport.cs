namespace Xfrmd.Interop.Harness;

/// <summary>What iperf3 measured at the receiver.</summary>
public sealed record IperfReport(long Bytes, double BitsPerSecond, long Packets, long LostPackets)
{
    /// <summary>Octets that the client's side counted, second by second.</summary>
    public IReadOnlyList<long> Intervals { get; init; } = [];
}
