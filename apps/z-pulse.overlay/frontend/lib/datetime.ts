const BEIJING = 'Asia/Shanghai'

const format = (date: Date, options: Intl.DateTimeFormatOptions) =>
  new Intl.DateTimeFormat('zh-CN', { timeZone: BEIJING, ...options }).format(date)

/** A time of the API is in UTC and does not say so (datetime.utcnow().isoformat()). */
export function parseApiDateTimeToDate(value: string | null | undefined): Date | null {
  if (!value) return null
  const hasZone = /(Z|[+-]\d{2}:?\d{2})$/i.test(value)
  const date = new Date(hasZone || !value.includes('T') ? value : `${value}Z`)
  return isNaN(date.getTime()) ? null : date
}

/** A day, YYYY-MM-DD. At noon in Beijing it is that day almost everywhere: callers use getDate(). */
export function parseYmdAsShanghaiDate(value: string | null | undefined): Date | null {
  const ymd = /^\d{4}-\d{2}-\d{2}/.exec(value ?? '')
  if (!ymd) return null
  const date = new Date(`${ymd[0]}T12:00:00+08:00`)
  return isNaN(date.getTime()) ? null : date
}

export function formatBeijingDate(
  date: Date,
  options: Intl.DateTimeFormatOptions = { year: 'numeric', month: 'long', day: 'numeric' },
): string {
  return format(date, options)
}

/** YYYY-MM-DD in Beijing, of a day or of a time of the API. */
export function formatBeijingYmd(value: string | Date | null | undefined): string {
  if (typeof value === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(value)) return value
  const date = value instanceof Date ? value : parseApiDateTimeToDate(value)
  if (!date) return value ? String(value) : ''
  // sv-SE writes dates as YYYY-MM-DD.
  return new Intl.DateTimeFormat('sv-SE', { timeZone: BEIJING }).format(date)
}

export function formatBeijingDateTimeFromApi(value: string | null | undefined): string {
  const date = parseApiDateTimeToDate(value)
  if (!date) return value ?? ''
  return format(date, {
    year: 'numeric', month: '2-digit', day: '2-digit',
    hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
  }).replace(/\//g, '-')
}
