using static Xfrmd.Crypto.Compression.DeflateFormat;

namespace Xfrmd.Crypto.Compression;

/// <summary>Walks over code lengths and groups equal ones as zlib's scan_tree and send_tree do.</summary>
internal ref struct CodeLengthRuns(ReadOnlySpan<byte> lengths)
{
    private readonly ReadOnlySpan<byte> _lengths = lengths;
    private int _at = 0, _previous = -1, _pending = 0;
    private CodeLengthRun _following;

    public CodeLengthRun Current { get; private set; }

    public readonly CodeLengthRuns GetEnumerator() => this;

    public bool MoveNext()
    {
        if (_pending > 0)
        {
            _pending = 0;
            Current = _following;
            return true;
        }

        if (_at == _lengths.Length)
        {
            return false;
        }

        int length = _lengths[_at];
        int longest = length == 0 ? 138 : length == _previous ? 6 : 7;
        int run = 1;
        while (run < longest && _at + run < _lengths.Length && _lengths[_at + run] == length)
        {
            run++;
        }

        if (run < (length == 0 || length == _previous ? 3 : 4))
        {
            Current = new CodeLengthRun(length, run, 0);
        }
        else if (length == 0)
        {
            Current = run <= 10 ? new CodeLengthRun(RepeatZero, 1, run - 3) : new CodeLengthRun(RepeatZeroLong, 1, run - 11);
        }
        else if (length == _previous)
        {
            Current = new CodeLengthRun(RepeatPrevious, 1, run - 3);
        }
        else
        {
            // The length itself, then how often it comes again.
            Current = new CodeLengthRun(length, 1, 0);
            _following = new CodeLengthRun(RepeatPrevious, 1, run - 4);
            _pending = 1;
        }

        _at += run;
        _previous = length;
        return true;
    }
}
