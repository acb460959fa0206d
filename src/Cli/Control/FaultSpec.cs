using System.Globalization;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.PfKey.Abi;

namespace Xfrmd.Cli.Control;

/// <summary>
/// How a person writes a <see cref="FaultRule"/>: <c>MESSAGE:EFFECT[@WHICH]</c>. MESSAGE is a request (<c>NEWSA</c>, <c>SADB_ADD</c>) or what
/// listeners are told (<c>event/ACQUIRE</c>); EFFECT an error (<c>ENOMEM</c>), <c>lose</c> or <c>delay=500ms</c>; WHICH one of them (<c>@3</c>), some
/// (<c>@1-3</c>) or all from one on (<c>@3+</c>).
/// </summary>
internal static class FaultSpec
{
    private const string EventPrefix = "event/", DelayPrefix = "delay=", NetlinkPrefix = "XFRM_MSG_", PfKeyPrefix = "SADB_";
    private static readonly TimeSpan MaxDelay = TimeSpan.FromMinutes(1);

    /// <summary>Null: it makes no sense, and why.</summary>
    public static FaultRule? TryParse(string text, out string mistake)
    {
        mistake = "";
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon <= 0)
        {
            mistake = $"'{text}' is no fault: MESSAGE:EFFECT is wanted, as in NEWSA:ENOMEM";
            return null;
        }
        string effect = text[(colon + 1)..], which = "";
        int at = effect.IndexOf('@', StringComparison.Ordinal);
        if (at >= 0)
        {
            (effect, which) = (effect[..at], effect[(at + 1)..]);
        }
        if (TrySubject(text[..colon]) is not { } subject)
        {
            mistake = $"'{text[..colon]}' is no message: a request as NEWSA or SADB_ADD, or one that listeners are told as event/ACQUIRE";
            return null;
        }
        long first = 1, last = long.MaxValue;
        if (at >= 0 && !TryRange(which, out first, out last))
        {
            mistake = $"'@{which}' does not say which of them: the third (@3), the first three (@1-3) or all from the third on (@3+)";
            return null;
        }
        if (Effect(effect) is not { } known)
        {
            mistake = $"'{effect}' is no effect: an error as ENOMEM, 'lose', or 'delay=500ms' (up to {MaxDelay.TotalSeconds:0} s)";
            return null;
        }
        if (subject.IsEvent && known.Kind != FaultKind.Lose)
        {
            mistake = $"'{text}': what listeners are told can be lost, no more";
            return null;
        }
        return new FaultRule(text, subject, known.Kind) { Errno = known.Errno, Delay = known.Delay, First = first, Last = last };
    }

    private static FaultSubject? TrySubject(string name)
    {
        bool isEvent = name.StartsWith(EventPrefix, StringComparison.OrdinalIgnoreCase);
        name = isEvent ? name[EventPrefix.Length..] : name;
        if (name.StartsWith(PfKeyPrefix, StringComparison.OrdinalIgnoreCase))
        {
            // SADB_X_SPDADD is XSpdAdd here.
            return TryName(name[PfKeyPrefix.Length..].Replace("_", "", StringComparison.Ordinal), out SadbType type) && type is > SadbType.Reserved and <= SadbType.Max
                ? new FaultSubject(IsPfKey: true, isEvent, (ushort)type)
                : null;
        }
        name = name.StartsWith(NetlinkPrefix, StringComparison.OrdinalIgnoreCase) ? name[NetlinkPrefix.Length..] : name;
        return TryName(name, out XfrmMsg message) ? new FaultSubject(IsPfKey: false, isEvent, (ushort)message) : null;
    }

    // Names only: Enum.TryParse takes numbers and lists too.
    private static bool TryName<T>(string name, out T value) where T : struct, Enum
    {
        value = default;
        return name.Length > 0 && name.All(char.IsAsciiLetterOrDigit) && char.IsAsciiLetter(name[0])
            && !name.Equals("Base", StringComparison.OrdinalIgnoreCase) && !name.Equals("Max", StringComparison.OrdinalIgnoreCase)
            && Enum.TryParse(name, ignoreCase: true, out value);
    }

    private static (FaultKind Kind, Errno Errno, TimeSpan Delay)? Effect(string effect)
    {
        if (effect == "lose")
        {
            return (FaultKind.Lose, Errno.None, default);
        }
        if (effect.StartsWith(DelayPrefix, StringComparison.Ordinal))
        {
            return TryDuration(effect[DelayPrefix.Length..], out TimeSpan delay) && delay > TimeSpan.Zero && delay <= MaxDelay ? (FaultKind.Delay, Errno.None, delay) : null;
        }
        // EINTR means within that a dump has begun.
        return TryName(effect, out Errno errno) && errno is not (Errno.None or Errno.EINTR) ? (FaultKind.Refuse, errno, default) : null;
    }

    private static bool TryDuration(string text, out TimeSpan duration)
    {
        (string unit, double seconds) = text.EndsWith("ms", StringComparison.Ordinal) ? ("ms", 0.001) : ("s", 1);
        bool isNumber = double.TryParse(text.EndsWith(unit, StringComparison.Ordinal) ? text[..^unit.Length] : "", NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number);
        duration = isNumber && number * seconds <= MaxDelay.TotalSeconds ? TimeSpan.FromSeconds(number * seconds) : default;
        return isNumber;
    }

    private static bool TryRange(string which, out long first, out long last)
    {
        int dash = which.IndexOf('-', StringComparison.Ordinal);
        bool goesOn = which.EndsWith('+');
        string from = dash >= 0 ? which[..dash] : goesOn ? which[..^1] : which;
        last = long.MaxValue;
        if (!long.TryParse(from, NumberStyles.None, CultureInfo.InvariantCulture, out first) || first == 0)
        {
            return false;
        }
        if (dash >= 0)
        {
            return long.TryParse(which[(dash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out last) && last >= first;
        }
        last = goesOn ? long.MaxValue : first;
        return true;
    }
}
