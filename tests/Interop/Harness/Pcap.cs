using System.Buffers.Binary;

namespace Xfrmd.Interop.Harness;

/// <summary>Reads a pcap file of an Ethernet link as tcpdump writes it, also while it writes it.</summary>
public static class Pcap
{
    private const int FileHeader = 24, RecordHeader = 16;

    public static IReadOnlyList<CapturedPacket> Read(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        List<CapturedPacket> packets = [];
        for (int at = FileHeader; at + RecordHeader <= bytes.Length;)
        {
            int captured = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(at + 8));
            int length = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(at + 12));
            double seconds = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at)) + (BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 4)) / 1e6);
            at += RecordHeader;
            if (captured > bytes.Length - at)
            {
                break;
            }
            packets.Add(CapturedPacket.Parse(bytes.AsSpan(at, captured), length, seconds));
            at += captured;
        }
        return packets;
    }
}
