using System.Globalization;
using Xfrmd.Kernel;

namespace Xfrmd.Attach;

/// <summary>/proc/net/xfrm_stat and /proc/sys/net/core/xfrm_*: their names, their text, and what may be written (<c>xfrm_sysctl.c</c>).</summary>
internal static class KernelFiles
{
    private const string SysctlDirectory = "/proc/sys/net/core/";

    /// <summary>Whether the last part of a path could be one of them, before any effort is spent on it.</summary>
    public static bool MayBe(string path) => Named(path.AsSpan(path.LastIndexOf('/') + 1)) != KernelFile.None;

    /// <summary>The file that an absolute path names; "self", "thread-self" and numbers are any process.</summary>
    public static KernelFile Find(string path)
    {
        string whole = Path.GetFullPath(path);
        KernelFile file = Named(whole.AsSpan(whole.LastIndexOf('/') + 1));
        if (file != KernelFile.Statistics)
        {
            return whole.StartsWith(SysctlDirectory, StringComparison.Ordinal) && whole.LastIndexOf('/') == SysctlDirectory.Length - 1
                ? file
                : KernelFile.None;
        }
        return whole.Split('/') switch
        {
            ["", "proc", "net", _] => file,
            ["", "proc", var process, "net", _] when IsProcess(process) => file,
            ["", "proc", var process, "task", var thread, "net", _] when IsProcess(process) && IsProcess(thread) => file,
            _ => KernelFile.None,
        };
    }

    public static string Text(KernelFile file, XfrmNamespace space) => file switch
    {
        KernelFile.Statistics => space.Statistics.ToProcText(),
        KernelFile.AcqExpires => Line(unchecked((int)space.Sysctls.AcqExpires)),
        KernelFile.AeventEtime => Line(space.Sysctls.AeventEtime),
        KernelFile.AeventRseqth => Line(space.Sysctls.AeventRseqth),
        _ => Line(space.Sysctls.LarvalDrop),
    };

    /// <summary>As <c>proc_dointvec</c> and <c>proc_douintvec</c> (the AEVENT ones): the first number counts, in any base of C; what is none is EINVAL.</summary>
    public static Errno Write(KernelFile file, XfrmNamespace space, ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty)
        {
            return Errno.None;
        }
        bool signed = file is KernelFile.AcqExpires or KernelFile.LarvalDrop;
        if (file == KernelFile.Statistics || !TryParse(text, out ulong value, out bool negative)
            || (negative ? !signed || value > 1ul + int.MaxValue : value > (signed ? int.MaxValue : uint.MaxValue)))
        {
            return Errno.EINVAL;
        }
        uint bits = unchecked((uint)(negative ? 0 - value : value));
        switch (file)
        {
            case KernelFile.AcqExpires:
                space.Sysctls.AcqExpires = bits;
                break;
            case KernelFile.LarvalDrop:
                space.Sysctls.LarvalDrop = unchecked((int)bits);
                break;
            case KernelFile.AeventEtime:
                space.Sysctls.AeventEtime = bits;
                break;
            default:
                space.Sysctls.AeventRseqth = bits;
                break;
        }
        return Errno.None;
    }

    // proc_get_long, with strtoul_lenient
    private static bool TryParse(ReadOnlySpan<byte> text, out ulong value, out bool negative)
    {
        const int longest = 21;   // TMPBUFLEN, its NUL aside
        text = text.TrimStart(" \t\n\v\f\r"u8);
        text = text[..Math.Min(text.Length, longest)];
        int whole = text.Length;
        negative = text is [(byte)'-', _, ..];
        text = negative ? text[1..] : text;
        value = 0;
        if (text is not [>= (byte)'0' and <= (byte)'9', ..])
        {
            return false;
        }
        uint radix = text[0] != '0' ? 10u : text is [_, (byte)'x' or (byte)'X', var digit, ..] && char.IsAsciiHexDigit((char)digit) ? 16u : 8u;
        text = radix == 16 ? text[2..] : text;
        int used = 0;
        for (; used < text.Length && DigitOf(text[used]) is var next && next < radix; used++)
        {
            ulong more = unchecked((value * radix) + next);
            if (value > ulong.MaxValue / radix || more < next)
            {
                return false;
            }
            value = more;
        }
        // A number that reaches the end of the buffer may go on behind it.
        return used == text.Length ? whole != longest : text[used] is (byte)' ' or (byte)'\t' or (byte)'\n';
    }

    private static uint DigitOf(byte character) => (char)character switch
    {
        >= '0' and <= '9' => (uint)(character - '0'),
        >= 'a' and <= 'f' => (uint)(character - 'a' + 10),
        >= 'A' and <= 'F' => (uint)(character - 'A' + 10),
        _ => uint.MaxValue,
    };

    private static KernelFile Named(ReadOnlySpan<char> name) => name switch
    {
        "xfrm_stat" => KernelFile.Statistics,
        "xfrm_acq_expires" => KernelFile.AcqExpires,
        "xfrm_aevent_etime" => KernelFile.AeventEtime,
        "xfrm_aevent_rseqth" => KernelFile.AeventRseqth,
        "xfrm_larval_drop" => KernelFile.LarvalDrop,
        _ => KernelFile.None,
    };

    private static bool IsProcess(string part) => part is "self" or "thread-self" || (part.Length > 0 && part.All(char.IsAsciiDigit));

    private static string Line<T>(T value) => string.Create(CultureInfo.InvariantCulture, $"{value}\n");
}
