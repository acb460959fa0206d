using System.Runtime.InteropServices;
using Xfrmd.Datapath.Ports;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Tests.Engine;

/// <summary>A TUN device without a kernel: what the test puts in is read, what is written is kept.</summary>
internal sealed class MemoryTun : ITunPort
{
    private readonly Queue<byte[]> _incoming = new();

    /// <summary>What was written, with each packet's header; not kept where <see cref="Discards"/>.</summary>
    public List<(VnetHeader Header, byte[] Packet)> Written { get; } = [];

    /// <summary>The marks of what was written.</summary>
    public List<uint> Marks { get; } = [];

    public bool Discards { get; set; }

    public long WrittenPackets { get; private set; }

    /// <summary>Repeats the last packet for ever: a flood for measurements.</summary>
    public int Repeats { get; set; }

    public void Send(VnetHeader header, ReadOnlySpan<byte> packet)
    {
        byte[] all = new byte[VnetHeader.Size + packet.Length];
        MemoryMarshal.Write(all, in header);
        packet.CopyTo(all.AsSpan(VnetHeader.Size));
        _incoming.Enqueue(all);
    }

    public int Read(byte[] pinned, int offset, int length)
    {
        if (!_incoming.TryPeek(out byte[]? packet))
        {
            return 0;
        }
        if (Repeats > 0)
        {
            Repeats--;
        }
        else
        {
            _incoming.Dequeue();
        }
        packet.CopyTo(pinned.AsSpan(offset, length));
        return packet.Length;
    }

    public int Write(in VnetHeader header, ReadOnlySpan<PacketPart> parts, uint mark)
    {
        WrittenPackets++;
        if (Discards)
        {
            return 0;
        }
        int total = 0;
        foreach (ref readonly PacketPart part in parts)
        {
            total += part.Length;
        }
        byte[] packet = new byte[total];
        int at = 0;
        foreach (ref readonly PacketPart part in parts)
        {
            part.Span.CopyTo(packet.AsSpan(at));
            at += part.Length;
        }
        Written.Add((header, packet));
        Marks.Add(mark);
        return 0;
    }
}
