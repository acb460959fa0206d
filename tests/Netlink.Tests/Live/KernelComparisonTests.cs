using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Replay;

namespace Xfrmd.Netlink.Tests.Live;

/// <summary>The same random requests to xfrmd and to the kernel beneath, in a network namespace of its own: answers and events must be equal.</summary>
public sealed class KernelComparisonTests
{
    private const int Requests = 100_000, NewSas = 100_000, AllGroups = 8, ExtAck = 11, AddMembership = 1, SecondsOfLarvals = 36_000;

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, true)]
    public void The_kernel_beneath_answers_alike(int seed, bool thresholds) => InNamespace(() => Compare(new RequestGenerator(seed, thresholds)));

    /// <summary>
    /// What a NEWSA or UPDSA is refused for (<c>verify_newsa_info</c>, <c>xfrm_state_construct</c>) up to where the kernel beneath looks for the
    /// transform. It need not have any, nor combined algorithms.
    /// </summary>
    [Fact]
    public void It_refuses_the_same_SAs() => InNamespace(() => CompareSas(new RequestGenerator(3, thresholds: false)));

    private static void InNamespace(Action compare)
    {
        ExceptionDispatchInfo? failure = null;
        // The thread ends with its namespace.
        Thread thread = new(() =>
        {
            try
            {
                KernelSocket.LeaveNetworkNamespace();
                compare();
            }
            catch (Exception exception)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
    }

    private static void CompareSas(RequestGenerator generator)
    {
        using KernelSocket theirs = new();
        using XfrmNamespace space = new(1, new ManualTime());
        using Client ours = new(new NetlinkXfrmFamily(), space);
        theirs.Set(ExtAck, 1);
        ours.Set(NetlinkOption.ExtAck, 1);
        int compared = 0;
        for (int i = 0; i < NewSas; i++)
        {
            byte[] request = generator.NewSa();
            theirs.Send(request);
            ours.Send(request);
            List<byte[]> kernel = Drain(theirs.Receive), xfrmd = Drain(ours.Receive);
            lock (space.Gate)
            {
                space.Sad.All.ToList().ForEach(sa => space.Sad.Delete(sa));
            }
            if (Says(kernel[0], "Requested type not found"u8) || Says(kernel[0], "Requested AEAD algorithm not found"u8))
            {
                continue;
            }
            compared++;
            AssertAlike(i, request, "answer", kernel, xfrmd);
        }
        Assert.InRange(compared, NewSas / 2, NewSas);
    }

    private static void Compare(RequestGenerator generator)
    {
        File.WriteAllText("/proc/sys/net/core/xfrm_acq_expires", SecondsOfLarvals.ToString(CultureInfo.InvariantCulture));
        using KernelSocket theirs = new(), theirEvents = new();
        using XfrmNamespace space = new(1, new ManualTime());
        space.Sysctls.AcqExpires = SecondsOfLarvals;
        NetlinkXfrmFamily family = new();
        using Client ours = new(family, space), ourEvents = new(family, space);
        theirs.Set(ExtAck, 1);
        ours.Set(NetlinkOption.ExtAck, 1);
        for (int group = 1; group <= AllGroups; group++)
        {
            theirEvents.Set(AddMembership, group);
            ourEvents.Set(NetlinkOption.AddMembership, group);
        }
        for (int i = 0; i < Requests; i++)
        {
            byte[] request = generator.Next();
            theirs.Send(request);
            ours.Send(request);
            AssertAlike(i, request, "answer", Drain(theirs.Receive), Drain(ours.Receive));
            AssertAlike(i, request, "event", Drain(theirEvents.Receive), Drain(ourEvents.Receive));
        }
    }

    private static bool Says(byte[] answer, ReadOnlySpan<byte> text) => answer.AsSpan().IndexOf(text) >= 0;

    private static void AssertAlike(int number, byte[] request, string what, List<byte[]> kernel, List<byte[]> xfrmd)
    {
        if (kernel.Count == xfrmd.Count && kernel.Zip(xfrmd).All(static pair => pair.First.AsSpan().SequenceEqual(pair.Second)))
        {
            return;
        }
        // From the first that differs.
        int alike = kernel.Zip(xfrmd).TakeWhile(static pair => pair.First.AsSpan().SequenceEqual(pair.Second)).Count();
        int at = alike < Math.Min(kernel.Count, xfrmd.Count) ? kernel[alike].AsSpan().CommonPrefixLength(xfrmd[alike]) : 0;
        StringBuilder text = new($"{what} to request {number}, byte {at}\n{Convert.ToHexStringLower(request)}\nkernel:\n");
        const int shown = 3;
        kernel.Skip(alike).Take(shown).ToList().ForEach(m => text.AppendLine(Describe(m)));
        text.AppendLine("xfrmd:");
        xfrmd.Skip(alike).Take(shown).ToList().ForEach(m => text.AppendLine(Describe(m)));
        Assert.Fail(text.ToString());
    }

    private static string Describe(byte[] message)
    {
        NlMsgHdr header = MemoryMarshal.Read<NlMsgHdr>(message);
        string error = header.Type is NlMsgType.Error or NlMsgType.Done ? $" {MemoryMarshal.Read<int>(message.AsSpan(16))}" : "";
        string printable = new([.. message.Skip(16).Select(b => b is >= 32 and < 127 ? (char)b : '.')]);
        return $"  {(XfrmMsg)header.Type}{error} flags {(int)header.Flags:x} ...{printable[Math.Max(0, printable.Length - 100)..]} {Convert.ToHexStringLower(message)}";
    }

    private static List<byte[]> Drain(Func<byte[]?> receive)
    {
        List<byte[]> messages = [];
        while (receive() is { } datagram)
        {
            for (int at = 0; datagram.Length - at >= NlMsgHdr.Size;)
            {
                int length = MemoryMarshal.Read<int>(datagram.AsSpan(at));
                messages.Add(Masked(datagram[at..(at + length)]));
                at += (length + 3) & ~3;
            }
        }
        // The parts of a dump have other sizes, so the answers to what came with it in one datagram stand elsewhere between them.
        return [.. messages.OrderBy(static m => MemoryMarshal.Read<NlMsgHdr>(m).Seq)];
    }

    // Times, port ids, hash sizes and the machine-wide number of an ACQUIRE are no one's answer.
    private static byte[] Masked(byte[] message)
    {
        NlMsgHdr header = MemoryMarshal.Read<NlMsgHdr>(message);
        message.AsSpan(12, 4).Clear();
        (int Offset, int Length)[] ranges = header.Type switch
        {
            (ushort)XfrmMsg.NewSa or (ushort)XfrmMsg.Expire => [(192, 16)],
            (ushort)XfrmMsg.DelSa => [(220, 16)],
            (ushort)XfrmMsg.NewPolicy or (ushort)XfrmMsg.UpdPolicy or (ushort)XfrmMsg.PolExpire => [(152, 16)],
            (ushort)XfrmMsg.DelPolicy => [(220, 16)],
            (ushort)XfrmMsg.Acquire => [(248, 16), (292, 4)],
            (ushort)XfrmMsg.NewAe => [(100, 16)],
            (ushort)XfrmMsg.NewSadInfo => [(32, 4)],
            (ushort)XfrmMsg.NewSpdInfo => [(52, 4)],
            _ => [],
        };
        foreach ((int offset, int length) in ranges)
        {
            if (offset + length <= message.Length)
            {
                message.AsSpan(offset, length).Clear();
            }
        }
        return message;
    }
}
